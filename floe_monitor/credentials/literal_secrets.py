"""Literal secrets in a value of a profiles.yml: where each stands, and whether it is there.

A key is secret by its name (`detection.is_secret_key`). Under it any text or number is a secret, but for an
expression that writes nothing out. Elsewhere a text holds one that shows its shape: a URL's password, a
`password=…`, a private key, in PEM or encoded. The default of an `env_var` is written out like anything else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.redaction.detection import (
    NAMES_OF_SECRETS,
    SECRET_TEXTS,
    UNKNOWN,
    holds_encoded_key,
    is_secret_key,
    is_secret_variable,
    secrets_in,
)
from floe_monitor.compute.toolkit.env_references import (
    ExpressionError,
    UnresolvedError,
    holds_literal,
    is_template,
    parse_expression,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
_KEY_FILE = re.compile(r"[\w ./~-]{1,1024}\.(?:json|key|p12|p8|pem|txt)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def literal_secrets(
    value: Any, path: Path = (), *, secret: bool = False, opens: bool = False
) -> Iterator[tuple[Path, Any]]:
    """Every text or number that is a literal secret or holds one, with the keys that lead to it.

    `opens`: within an entry, of a list, that has a `path`.
    """
    if isinstance(value, dict):
        opens = opens or ("path" in value and bool(path) and isinstance(path[-1], int))
        for key, item in value.items():
            below = secret or is_secret_key(str(key)) or _is_secret_text(key, item)
            if not (opens and _names_a_secret(key, item)):
                yield from literal_secrets(item, (*path, key), secret=below, opens=opens)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from literal_secrets(item, (*path, index), secret=secret, opens=opens)
    elif is_literal_secret(value, secret=secret):
        yield path, value


def is_literal_secret(value: Any, *, secret: bool) -> bool:
    """Whether a text or number is, or holds, a literal secret. `secret`: a key above it says so."""
    if value is None or isinstance(value, bool):
        return False
    text = str(value)
    if not is_template(text):
        found = isinstance(value, str) and (secrets_in(text) or holds_encoded_key(text))
        return bool(text) if secret else bool(found)
    try:
        variables = parse_expression(text).variables
    except ExpressionError:
        return secret or bool(secrets_in(text))
    if secret and (holds_literal(text) or not variables):
        return True
    if any(
        default and (secret or _is_secret_default(name, default) or holds_encoded_key(default))
        for name, default in variables
    ):
        return True
    return bool(secrets_in(text) or secrets_in(_with_defaults(text)))


def _is_secret_default(name: str, default: str) -> bool:
    """`GOOGLE_APPLICATION_CREDENTIALS` and the like may stand for a file."""
    return is_secret_variable(name) and _KEY_FILE.fullmatch(default) is None


def _with_defaults(text: str) -> str:
    """What it comes to with nothing set: a default may be the password of a URL."""
    expression = parse_expression(text)
    unknown = dict.fromkeys((name for name, default in expression.variables if not default), UNKNOWN)
    try:
        return str(expression.evaluate(unknown))
    except UnresolvedError:
        return ""


def _is_secret_text(key: object, item: Any) -> bool:
    return isinstance(item, str) and str(key).lower() in SECRET_TEXTS


def _names_a_secret(key: object, item: Any) -> bool:
    named = str(key).lower() in NAMES_OF_SECRETS
    return named and isinstance(item, str) and _IDENTIFIER.fullmatch(item) is not None
