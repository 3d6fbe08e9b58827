"""`token` and `password`: credentials that others show the monitor, and the hashes it keeps of them."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Optional

import typer

from floe_monitor.cli.options import parse_duration
from floe_monitor.cli.terminal import OK, CliError, note, write

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")
_SCOPES = ("read", "metrics", "act")


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will have it, as the audit names it.")],
    scope: Annotated[
        Optional[list[str]],
        typer.Option("--scope", help="read, metrics or act; may be repeated.", show_default="read"),
    ] = None,
    expires_in: Annotated[
        Optional[float],
        typer.Option(
            "--expires-in", parser=parse_duration, metavar="DURATION", help="It ends after this time: 90d."
        ),
    ] = None,
) -> int:
    """Make a bearer token: it is printed once, and what the configuration needs of it on standard error."""
    from floe_monitor.credentials import hashing

    if not _NAME.fullmatch(name):
        raise CliError(f"{name[:64]!r} is no name: letters, digits, '_', '-' and '.', at most 128")
    scopes = list(dict.fromkeys(scope or ["read"]))
    for each in scopes:
        if each not in _SCOPES:
            raise CliError(f"no scope {each[:32]!r}; there are {', '.join(_SCOPES)}")
    made = hashing.new_token()
    parts = [f'hash: "{hashing.token_hash(made)}"', f"scopes: [{', '.join(scopes)}]"]
    if expires_in is not None:
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=expires_in)
        parts.append(f"expires: {ends.isoformat().replace('+00:00', 'Z')}")
    # With the token alone on standard output, `floe-monitor token ci > FILE` is all it takes to keep it.
    note(f"Put this into the configuration; the token itself is shown this once:\n{_entry(name, parts)}")
    write(made)
    return OK


def password() -> int:
    """Ask for a password and print its hash, for a file that `http.users.NAME.password_hash` names."""
    from floe_monitor.credentials import hashing

    if sys.stdin.isatty():
        given = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        given = sys.stdin.readline(hashing.MOST_PASSWORD + 2).removesuffix("\n").removesuffix("\r")
    if len(given) < hashing.LEAST_PASSWORD:
        raise CliError(f"a password needs {hashing.LEAST_PASSWORD} characters or more")
    if len(given.encode("utf-8", "surrogateescape")) > hashing.MOST_PASSWORD:
        raise CliError(f"a password may have {hashing.MOST_PASSWORD} bytes")
    write(str(hashing.PasswordHash.of(given)))
    return OK


def _entry(name: str, parts: list[str]) -> str:
    return f"http:\n  tokens:\n    {name}: {{{', '.join(parts)}}}"
