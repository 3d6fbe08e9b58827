"""What looks like a secret: the one rule behind refusing literals, scrubbing texts and hiding values.

Keys are classified by their last words (`client_secret`, `private-key`, `sslpassword`), so that what merely
speaks of a secret (`secret_name`, `token_uri`, `password_file`, `key_id`) is none. Texts are classified by
their shape: a password inside a URL, a `password=…` inside a connection string, a private key in PEM.
"""

from __future__ import annotations

import re
from base64 import b64decode
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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

_PUBLIC = frozenset(
    {"account", "alias", "authenticator", "catalog", "database", "dataset", "db", "dbname",
     "email", "endpoint", "host", "hostname", "location", "login", "method", "name", "plugin", "port",
     "project", "provider", "region", "role", "schema", "server", "type", "user", "userid", "username",
     "warehouse"}
)  # fmt: skip
"""Last words of the keys that say who or where: their values are words that messages are made of."""
_PUBLIC_IDS = frozenset({"client", "user", "project", "tenant", "account"})
"""Words that make a following `id` a public one; a `key_id` is none."""

SECRET_TEXTS = frozenset({"dsn", "conninfo", "connection_string", "connection_url", "keyfile_json"})
"""Keys whose text may hold a secret in an unforeseen form."""

NAMES_OF_SECRETS = frozenset({"secret", "meta_secret"})
"""Keys that, within an entry of a list that has a `path`, may name what opens the path."""

_SPACED = ("password", "passwd", "passphrase", "pwd")
"""Ends of the keys that libpq knows; it lets spaces stand around the sign."""
_JOINED = ("secret", "token", "apikey", "api_key", "accesskey", "access_key", "accountkey", "account_key",
           "credential", "privatekey", "private_key")  # fmt: skip
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"[^"]*"|[^\s;&,)'"]+""", re.DOTALL)
_SPACES = re.compile(r"\s*")
_USER = re.compile(r"[^\s/@:?#]*:")
_AUTHORITY = re.compile(r"[^\s/?#]*")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_HINTS = ("=", "://", "PRIVATE KEY-----")
UNKNOWN = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for dbt's expressions, which hide nothing themselves, while a text is searched."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SHORTEST_ENCODED = 32
_LONGEST_KEY = 256
_SHORTEST_PART = 3


def is_secret_key(key: str) -> bool:
    """Whether a key of this name holds a secret."""
    return _is_secret_key(key[-_LONGEST_KEY:])


@lru_cache(maxsize=8192)
def _is_secret_key(key: str) -> bool:
    words = _words(key)
    if not words:
        return False
    last = words[-1]
    if last in _WORDS or last.endswith(_ENDINGS):
        return True
    return last == "key" and len(words) > 1 and words[-2] in _KEYED


def _words(key: str) -> list[str]:
    return [word for word in _SPLIT.split(_CAMEL.sub("_", key).lower()) if word]


def is_public_key(key: str) -> bool:
    """Whether a value is no secret although a reference names it: a user's name, an address."""
    words = _words(key[-_LONGEST_KEY:])
    if not words or is_secret_key(key):
        return False
    return words[-1] in _PUBLIC or (words[-1] == "id" and len(words) > 1 and words[-2] in _PUBLIC_IDS)


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable of this name holds a secret."""
    return name.startswith(SECRET_ENV_PREFIX) or is_secret_key(name)


def secrets_in(text: str) -> list[str]:
    """The secrets written out in a text: URL passwords, `password=…` values, the whole of a private key.

    The time it takes is in proportion to the text, whatever it contains: texts are untrusted input.
    """
    if not any(hint in text for hint in _HINTS):
        return []
    if _PEM.search(text):
        return [text]
    plain, *expressions = _split(text)
    found = [value for part in (plain, *expressions) for value in (*_in_urls(part), *_assigned(part))]
    return [part for value in found for part in _written_out(value)]


def holds_encoded_key(text: str) -> bool:
    """Whether the whole text is base64 and what it stands for has a private key in it, as key files have."""
    joined = "".join(text.split())
    if len(joined) < _SHORTEST_ENCODED or _BASE64.fullmatch(joined) is None:
        return False
    plain = joined.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) // 4 * 4]
    return b"PRIVATE KEY" in b64decode(plain)


def _written_out(value: str) -> list[str]:
    """What of a value is no expression; a sign or two beside one is no secret."""
    if UNKNOWN not in value:
        return [value] if value else []
    return [part for part in value.split(UNKNOWN) if len(part) >= _SHORTEST_PART]


def _split(text: str) -> list[str]:
    """The text with a sign for every `{{ … }}`, and what stands in each."""
    plain, expressions, position = [], [], 0
    while (start := text.find("{{", position)) >= 0 and (end := text.find("}}", start)) >= 0:
        plain.append(text[position:start])
        expressions.append(text[start + 2 : end])
        position = end + 2
    plain.append(text[position:])
    return [UNKNOWN.join(plain), *expressions]


def _in_urls(text: str) -> Iterator[str]:
    position = 0
    while (sign := text.find("://", position)) >= 0:
        position = sign + 3
        user = _USER.match(text, position)
        if user is None or not _ends_scheme(text[sign - 1 : sign]):
            continue
        authority = _AUTHORITY.match(text, user.end())
        end = text.rfind("@", user.end(), authority.end() if authority else user.end())
        if end >= 0:
            yield text[user.end() : end]


def _ends_scheme(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character in tuple("+.-"))


def _assigned(text: str) -> Iterator[str]:
    """Values of `key=value` whose key ends in a word for a secret. Every part of the text is read once."""
    start = 0
    while (sign := text.find("=", start)) >= 0:
        before, start = text[start:sign], sign + 1
        key = before.rstrip()
        lower = key[-_LONGEST_KEY:].lower()
        if lower.endswith(_SPACED):
            at = _SPACES.match(text, start)
        elif key == before and (lower.endswith(_JOINED) or lower.endswith(("?sig", "&sig", ";sig"))):
            at = None
        else:
            continue
        value = _QUOTED.match(text, at.end() if at else start)
        if value is not None:
            start = value.end()
            yield value[0].strip("'\"")
