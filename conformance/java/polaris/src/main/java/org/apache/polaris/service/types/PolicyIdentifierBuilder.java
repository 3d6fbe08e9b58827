package org.apache.polaris.service.types;

import org.apache.iceberg.catalog.Namespace;

public class PolicyIdentifierBuilder {
  private Namespace namespace;
  private String name;

  public PolicyIdentifierBuilder namespace(Namespace given) {
    namespace = given;
    return this;
  }

  public PolicyIdentifierBuilder name(String given) {
    name = given;
    return this;
  }

  public PolicyIdentifier build() {
    return new PolicyIdentifier(namespace, name);
  }
}
