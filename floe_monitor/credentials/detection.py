"""What looks like a secret: the one rule behind refusing literals, scrubbing texts and hiding values.

Keys are judged by their last words (`client_secret`, `private-key`, `sslpassword`), so that what merely
speaks of a secret (`secret_name`, `token_uri`, `password_file`, `key_id`) is none. Texts are judged by their
shape: a password inside a URL, a `password=…` inside a connection string, a private key in PEM.
"""

from __future__ import annotations

import re
from functools import lru_cache

SECRET_ENV_PREFIX = "DBT_ENV_SECRET"  # noqa: S105 - a name
"""dbt keeps variables of this prefix out of its logs, and lets them appear in profiles.yml alone."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPLIT = re.compile(r"[^a-z0-9]+")
_ENDINGS = ("password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "credential")
_WORDS = frozenset({"pass", "pwd", "pw", "jwt", "bearer", "authorization", "credentials", "passwords"})
_KEYED = frozenset(
    {"api", "private", "access", "account", "secret", "signing", "encryption", "shared", "master", "sas"}
)
"""Words that make a following `key` a secret one."""

_NAMES = "password|passwd|passphrase|pwd"
_IN_TEXT = re.compile(
    rf"""(?xi)
    (?: (?<![a-z0-9]) [\w.-]*? (?:{_NAMES}) \s*=\s*           # libpq lets spaces stand around the sign
      | (?<![\w.-]) [\w.-]*? (?:secret|token|api_?key|access_?key|account_?key|credential|private_?key)=
      | (?<=[?&;]) sig=                                         # a signed URL
    )
    (?P<value> '(?:[^'\\]|\\.)*' | "[^"]*" | \{{\{{.*?\}}\}} | [^\s;&,)'"]+ )
    """
)
_IN_URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/@:?#]*:(?P<value>\{\{.*?\}\}|[^\s/?#]*)@")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_HINTS = ("=", "://", "PRIVATE KEY-----")


@lru_cache(maxsize=8192)
def is_secret_key(key: str) -> bool:
    """Whether a key of this name holds a secret."""
    words = [word for word in _SPLIT.split(_CAMEL.sub("_", key).lower()) if word]
    if not words:
        return False
    last = words[-1]
    if last in _WORDS or last.endswith(_ENDINGS):
        return True
    return last == "key" and len(words) > 1 and words[-2] in _KEYED


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable of this name holds a secret."""
    return name.startswith(SECRET_ENV_PREFIX) or is_secret_key(name)


def secrets_in(text: str) -> list[str]:
    """The secrets written out in a text: URL passwords, `password=…` values, the whole of a private key."""
    if not any(hint in text for hint in _HINTS):
        return []
    if _PEM.search(text):
        return [text]
    found = [match["value"] for match in _IN_URL.finditer(text)]
    found += [match["value"].strip("'\"") for match in _IN_TEXT.finditer(text)]
    return [value for value in found if value and not value.startswith("{{")]
