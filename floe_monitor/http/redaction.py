"""A target's settings as they may be shown: references stay, anything that could be a secret does not.

The configuration refuses literal secrets where it knows the key; this is the second fence, for keys that
only a plugin knows.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase|code)?($|_)|secret|token|(private|api|access|account|session|encryption|shared)_?key"
    r"|^key$|credential|keyfile_json|^pat$|connection_?string|^dsn$|sas$",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(\w[\w+.-]*://[^/\s:@]*):[^/\s@]+@")
_ENV_DEFAULT = re.compile(r"(env_var\(\s*(['\"])(?:(?!\2).)*\2\s*,\s*)(['\"])(?:(?!\3).)*\3")
_REFERENCE = re.compile(r"^\s*\{\{\s*env_var\(\s*(['\"])[^'\"]*\1\s*(,.*)?\)\s*\}\}\s*$")
_REFERENCE_KEYS = frozenset({"env", "file"})


def redacted(value: Any, *, secret: bool = False) -> Any:
    """`value` with every possible secret as `***`. `secret`: whatever text is in it is one."""
    if isinstance(value, dict):
        if secret and value and value.keys() <= _REFERENCE_KEYS:
            return value
        return {key: redacted(item, secret=_hides(key, secret)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, secret=secret) for item in value]
    if isinstance(value, str) and (not secret or _REFERENCE.match(value)):
        return _ENV_DEFAULT.sub(rf"\1'{HIDDEN}'", _USER_INFO.sub(rf"\1:{HIDDEN}@", value))
    hides = secret and isinstance(value, str | int | float) and not isinstance(value, bool)
    return HIDDEN if hides else value


def _hides(key: object, already: bool) -> bool:
    return already or bool(_SECRET_KEY.search(str(key)))
