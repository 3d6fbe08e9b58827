"""When a JSON web token ends, read without any proof that it is genuine: its issuer is asked for that."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re

LONGEST = 64 << 10
"""Characters of a token; a header that holds it is shorter."""
_FORM = re.compile(r"e[\w-]*\.(e[\w-]+)\.[\w-]*", re.ASCII)
"""Two objects of JSON, whose brace is an e in Base64, and a signature."""


def valid_until(text: str) -> float | None:
    """The claim `exp` in Unix time; None for what is no such token, or one that has no end."""
    token = text.strip()
    if len(token) > LONGEST or (form := _FORM.fullmatch(token)) is None:
        return None
    payload = form[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires = claims.get("exp") if isinstance(claims, dict) else None
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            return None
        at = float(expires)
    except (ValueError, OverflowError, RecursionError, binascii.Error):
        return None
    return at if math.isfinite(at) else None
