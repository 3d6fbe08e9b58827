"""Logins of a .netrc file, which the requests library puts in place of what its caller gave.

It looks into the file for every request that has no login of requests' own, and the one of a host, or that of
`default`, replaces whatever `Authorization` the caller has set: a server that refuses dbt then must refuse a
probe too.
"""

from __future__ import annotations

import base64
import netrc
import os
import stat
from pathlib import Path

MAX_FILE_BYTES = 256 << 10


def authorization_for(host: str) -> str | None:
    """The value of `Authorization` for that host; None where the file has none or cannot be read."""
    path = _place()
    if path is None:
        return None
    try:
        found = netrc.netrc(path).authenticators(host)
    except (netrc.NetrcParseError, OSError, ValueError):
        return None
    if found is None or not any(found):
        return None
    pair = f"{found[0] or found[1]}:{found[2]}".encode("latin-1", "replace")
    return f"Basic {base64.b64encode(pair).decode()}"


def _place() -> Path | None:
    """As requests chooses it; what is no file of a sensible size would be read without end."""
    named = os.environ.get("NETRC")
    for name in ("~/.netrc", "~/_netrc") if named is None else (named,):
        try:
            path = Path(name).expanduser()
            state = path.stat()
        except (OSError, RuntimeError, ValueError):
            continue
        return path if stat.S_ISREG(state.st_mode) and state.st_size <= MAX_FILE_BYTES else None
    return None
