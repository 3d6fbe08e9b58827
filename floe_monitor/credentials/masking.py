"""A target's settings as they may be shown: references stay, anything that could be a secret does not.

The configuration refuses literal secrets where it knows the key; this is the second fence, for keys that
only a plugin knows. It goes by keys and shapes, where a `Redactor` looks for values that are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.env_references import hide_defaults, holds_literal
from floe_monitor.credentials.detection import SECRET_TEXTS, is_secret_key, secrets_in
from floe_monitor.credentials.redactor import MASK
from floe_monitor.credentials.references import as_reference

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST_SECRETS = 20
"""In one text, to be hidden one by one: beyond, nothing of it is shown."""


def redacted(value: Any, *, secret: bool = False, said: Collection[str] = ()) -> Any:
    """`value` with every possible secret as `***`. `secret`: whatever is in it is one, but for `said`."""
    match value:
        case dict() if not secret or as_reference(value) is None:
            return {
                key: redacted(item, secret=secret or _is_secret(str(key)), said=said)
                for key, item in value.items()
            }
        case list() | tuple():
            return [redacted(item, secret=secret, said=said) for item in value]
        case None | bool() | dict():
            return value
    text = str(value)
    if secret and text not in said and holds_literal(text):
        return MASK
    return _without_secrets(value) if isinstance(value, str) and text not in said else value


def _is_secret(key: str) -> bool:
    return is_secret_key(key) or key.lower() in SECRET_TEXTS


def _without_secrets(text: str) -> str:
    found = set(secrets_in(text))
    if len(found) > _MOST_SECRETS:
        return MASK
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return hide_defaults(text, MASK)
