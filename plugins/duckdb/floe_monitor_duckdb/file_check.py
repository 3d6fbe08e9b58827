"""The check of one database file: what `database_file` finds, as a verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType, deadline
from floe_monitor_duckdb import database_file

_AUTHOR = re.compile(r"written by DuckDB v(\d+(?:\.\d+)+)")

if TYPE_CHECKING:
    from floe_monitor.compute import Check


def check_file(
    path: str, check: Check, *, read_only: bool, check_writable: bool, must_exist: bool = False
) -> bool:
    """Whether dbt would create it."""
    try:
        found = database_file.inspect(
            path, read_only=read_only, check_writable=check_writable, limit=deadline.with_margin()
        )
    except database_file.UnusableFileError as error:
        check.fail(f"{path} {error}", error.error_type)
        return False
    for warning in found.warnings:
        check.warn(warning)
    if not found.exists and must_exist:
        check.fail(f"{path} does not exist", ErrorType.CONNECTION)
    elif not found.exists:
        check.degrade(f"{path} does not exist; dbt would create an empty database")
    elif found.holder is not None:
        how = "" if found.holder.exclusive else " for reading"
        check.degrade(f"{path} is in use{how} by {found.holder}")
    elif found.unjudged:
        check.degrade(f"{path} {found.unjudged}, {_cannot_be_judged(found.unjudged)}")
    elif found.limitations:
        check.degrade(f"{path}: {'; '.join(found.limitations)}", ErrorType.PERMISSION)
    elif found.shortage:
        check.degrade(f"{path}: {found.shortage}", ErrorType.CONNECTION)
    return not found.exists


def _cannot_be_judged(what: str) -> str:
    """Why not, and what to install: the DuckDB that wrote the file, where it says which that was."""
    import duckdb  # noqa: PLC0415 - the driver is imported only when used

    author = _AUTHOR.search(what)
    wanted = f"'duckdb>={author[1]}'" if author else "the DuckDB that wrote it"
    return (
        f"which the monitor's DuckDB {duckdb.__version__} does not read: it cannot be judged; "
        f"install {wanted} beside the monitor"
    )
