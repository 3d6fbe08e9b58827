"""A target's settings as they may be shown: references stay, anything that could be a secret does not.

The configuration refuses literal secrets where it knows the key; this is the second fence, for keys that
only a plugin knows. It goes by keys and shapes, where a `Redactor` looks for values that are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.redaction.detection import (
    SECRET_TEXTS,
    is_public_key,
    is_secret_key,
    is_secret_variable,
    secrets_in,
)
from floe_monitor.compute.redaction.redactor import MASK
from floe_monitor.compute.toolkit.env_references import hide_defaults, holds_literal, variables_in
from floe_monitor.credentials.references import as_reference

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST_SECRETS = 20
"""In one text, to be hidden one by one: beyond, nothing of it is shown."""


def redacted(value: Any, *, secret: bool = False, public: bool = False, said: Collection[str] = ()) -> Any:
    """`value` with every possible secret as `***`. `secret`: whatever is in it is one, but for `said`.

    `public`: the key above says who or where, so that the default of an expression is no secret either.
    """
    match value:
        case dict() if not secret or as_reference(value) is None:
            return {
                key: redacted(
                    item, secret=_is_secret(str(key), secret), public=is_public_key(str(key)), said=said
                )
                for key, item in value.items()
            }
        case list() | tuple():
            return [redacted(item, secret=secret, public=public, said=said) for item in value]
        case None | bool() | dict():
            return value
    text = str(value)
    if secret and text not in said and holds_literal(text):
        return MASK
    return _without_secrets(value, public) if isinstance(value, str) and text not in said else value


def _is_secret(key: str, below: bool) -> bool:
    """`below`: the key stands under a secret one, as all of `credentials` does."""
    return is_secret_key(key) or key.lower() in SECRET_TEXTS or (below and not is_public_key(key))


def _without_secrets(text: str, public: bool) -> str:
    found = set(secrets_in(text))
    if len(found) > _MOST_SECRETS:
        return MASK
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if public and not any(is_secret_variable(name) for name in variables_in(text)):
        return text
    return hide_defaults(text, MASK)
