package org.apache.polaris.core.admin.model;

import java.util.HashMap;
import java.util.Map;

/** Whatever a catalog is given, of which one key has an accessor. */
public class CatalogProperties extends HashMap<String, String> {
  private static final String LOCATION = "default-base-location";

  public String getDefaultBaseLocation() {
    return get(LOCATION);
  }

  public Map<String, String> toMap() {
    return new HashMap<>(this);
  }

  public static Builder builder(String location) {
    return new Builder(location);
  }

  public static final class Builder {
    private final CatalogProperties built = new CatalogProperties();

    private Builder(String location) {
      built.put(LOCATION, location);
    }

    public Builder putAll(Map<String, String> given) {
      built.putAll(given);
      return this;
    }

    public CatalogProperties build() {
      return built;
    }
  }
}
