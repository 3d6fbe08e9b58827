"""Literal secrets, refused wherever they stand; and expressions that cannot work.

A key is secret by its name (`detection.is_secret_key`). Under it stand a reference, an `env_var` expression
without a default worth hiding, an empty text, or true/false; not a text or a number. Any other text is
searched for URL passwords, `password=…` and private keys. In an entry of a list that has a `path`, `secret`
and `meta_secret` may name what opens the path, and are then identifiers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from floe_monitor.compute.redaction.detection import (
    NAMES_OF_SECRETS,
    SECRET_ENV_PREFIX,
    is_secret_key,
    secrets_in,
)
from floe_monitor.compute.toolkit.env_references import ExpressionError, is_template, parse_expression
from floe_monitor.credentials.references import as_reference
from floe_monitor.registry.problems import KeyPath

if TYPE_CHECKING:
    from collections.abc import Iterator

REFER = "write {env: NAME}, {file: PATH} or dbt's {{ env_var('NAME') }}"
REFER_ONLY = "write {env: NAME} or {file: PATH}"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_NAMED: frozenset[KeyPath] = frozenset(
    {("targets",), ("http", "tokens"), ("http", "users"), ("notifications", "channels")}
)
"""Mappings whose keys are names that somebody chose: they hide nothing, be one of them `token`."""


class Finding(NamedTuple):
    path: KeyPath
    message: str
    hint: str = ""


def find_literals(document: Any) -> Iterator[Finding]:
    """Every literal secret and every unusable expression of a whole configuration."""
    yield from _walk(document, ())


def _walk(value: Any, path: KeyPath, *, secret: bool = False, opens: bool = False) -> Iterator[Finding]:
    """`secret`: a key above is a secret one. `opens`: within an entry, of a list, that has a `path`."""
    if isinstance(value, dict):
        is_entry = len(path) > 4 and path[2] in ("connection", "output_keys") and isinstance(path[-1], int)
        opens = opens or (is_entry and "path" in value and not secret)
        reference = as_reference(value) if path[0:1] == ("targets",) and len(path) > 2 else None
        if reference is not None and reference.env and not _VARIABLE.fullmatch(reference.env):
            yield Finding((*path, "env"), "is no name of an environment variable")
        for key, item in value.items():
            below = (*path, key)
            if _is_credential(below):
                if isinstance(item, str | int | float) and not isinstance(item, bool):
                    yield Finding(below, "a literal secret is refused", REFER_ONLY)
                continue
            secret_below = path not in _NAMED and is_secret_key(key)
            yield from _walk(item, below, secret=secret_below, opens=opens)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index), secret=secret, opens=opens)
    elif isinstance(value, str):
        opener = opens and str(path[-1]).lower() in NAMES_OF_SECRETS
        named = opener and _IDENTIFIER.fullmatch(value) is not None
        yield from _text(value, path, secret=secret and not named)
    elif secret and isinstance(value, int | float) and not isinstance(value, bool):
        yield Finding(path, "a literal secret is refused", REFER)


def _is_credential(path: KeyPath) -> bool:
    """Whether a reference belongs there, and nothing else."""
    if path[0] == "targets":
        return path[2:-1] in (("credentials",), ("catalog", "credentials"))
    if path[:2] == ("notifications", "channels"):
        return path[3:] in (("apprise",), ("webhook", "secret"), ("webhook", "former_secret"))
    is_hash = path[:2] == ("http", "users") and path[3:] == ("password_hash",)
    return is_hash or path[:-1] == ("otlp", "headers")


def _text(text: str, path: KeyPath, *, secret: bool) -> Iterator[Finding]:
    if path[0] == "targets" and is_template(text):
        yield from _expression(text, path, secret=secret)
    elif secret and text:
        yield Finding(path, "a literal secret is refused", REFER)
    elif secrets_in(text):
        yield Finding(path, "a literal secret inside this value is refused", REFER)


def _expression(text: str, path: KeyPath, *, secret: bool) -> Iterator[Finding]:
    try:
        variables = parse_expression(text).variables
    except ExpressionError as error:
        if path[2:3] != ("output_keys",):
            yield Finding(path, str(error))
        elif secret or secrets_in(text):
            yield Finding(path, "a literal secret is refused", REFER)
        return
    if secret and not variables:
        yield Finding(path, "a literal secret is refused", REFER)
    elif any(default and (secret or secrets_in(default)) for _, default in variables):
        yield Finding(path, "a literal secret as the default of env_var is refused", "leave the default out")
    elif secrets_in(text):
        yield Finding(path, "a literal secret inside this value is refused", REFER)
    elif sum(name.startswith(SECRET_ENV_PREFIX) for name, _ in variables) > 1:
        yield Finding(path, f"dbt replaces one {SECRET_ENV_PREFIX} variable in a value, no more")
