package org.apache.polaris.service.types;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** Kinds of tokens, by the URNs of RFC 8693. */
public enum TokenType {
  ACCESS_TOKEN,
  REFRESH_TOKEN,
  ID_TOKEN,
  SAML1,
  SAML2,
  JWT;

  @JsonValue
  public String getValue() {
    return "urn:ietf:params:oauth:token-type:" + name().toLowerCase(Locale.ROOT);
  }

  public static TokenType fromString(String value) {
    for (TokenType each : values()) {
      if (each.getValue().equals(value)) {
        return each;
      }
    }
    throw new IllegalArgumentException("no token type: " + value);
  }
}
