"""A target's settings as they may be shown: references stay, anything that could be a secret does not.

The configuration refuses literal secrets where it knows the key; this is the second fence, for keys that
only a plugin knows.
"""

from __future__ import annotations

import re
from typing import Any

from floe_monitor.credentials.detection import is_secret_key, secrets_in

HIDDEN = "***"

_WHOLE = frozenset({"dsn", "conninfo", "connection_string", "connection_url", "keyfile_json"})
"""Keys whose value may hold a secret in a form nobody foresees."""
_ENV_DEFAULT = re.compile(r"(env_var\(\s*(['\"])(?:(?!\2).)*\2\s*,\s*)(['\"])(?:(?!\3).)*\3")
_REFERENCE = re.compile(r"^\s*\{\{\s*env_var\(\s*(['\"])[^'\"]*\1\s*(,.*)?\)\s*\}\}\s*$")
_REFERENCE_KEYS = frozenset({"env", "file"})


def redacted(value: Any, *, secret: bool = False) -> Any:
    """`value` with every possible secret as `***`. `secret`: whatever text is in it is one."""
    if isinstance(value, dict):
        if secret and value and value.keys() <= _REFERENCE_KEYS:
            return value
        return {key: redacted(item, secret=secret or _is_secret(str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, secret=secret) for item in value]
    if isinstance(value, str) and (not secret or _REFERENCE.match(value)):
        return _without_secrets(value)
    hides = secret and isinstance(value, str | int | float) and not isinstance(value, bool)
    return HIDDEN if hides else value


def _is_secret(key: str) -> bool:
    return is_secret_key(key) or key.lower() in _WHOLE


def _without_secrets(text: str) -> str:
    for found in secrets_in(text):
        text = text.replace(found, HIDDEN)
    return _ENV_DEFAULT.sub(rf"\1'{HIDDEN}'", text)
