"""libpq's service file, read here because dbt-postgres cannot name a service.

The probe and the profile both use what the section holds, so that they stay one and the same.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPRESSIBLE = (
    "host",
    "port",
    "user",
    "dbname",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "connect_timeout",
    "keepalives_idle",
    "application_name",
)
"""Keys of a service that dbt-postgres has too, under the same names."""
INTEGERS = frozenset({"port", "connect_timeout", "keepalives_idle"})


def service_files(environ: Mapping[str, str]) -> list[Path]:
    """Where libpq looks, in its order: the user's file first, then the system's."""
    own = environ.get("PGSERVICEFILE")
    system = environ.get("PGSYSCONFDIR", "/etc/postgresql-common")
    home = Path(environ.get("HOME", "/"))
    return [Path(own) if own else home / ".pg_service.conf", Path(system) / "pg_service.conf"]


def read_service(name: str, environ: Mapping[str, str] = os.environ) -> dict[str, str | int]:
    """The section's keys; `ComputeConfigurationError` where there is none, or dbt has no key for one."""
    files = service_files(environ)
    for path in files:
        section = _section(path, name)
        if section is not None:
            return _expressible(name, path, section)
    raise ComputeConfigurationError(f"service {name!r} is in none of {', '.join(map(str, files))}")


def _section(path: Path, name: str) -> dict[str, str] | None:
    parser = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#",), strict=False, allow_no_value=True, default_section="\0"
    )
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        # The text of a parser's error repeats the line, which may hold a password.
        raise ComputeConfigurationError(f"cannot read {path}: {type(error).__name__}") from None
    return dict(parser.items(name)) if parser.has_section(name) else None


def _expressible(name: str, path: Path, section: Mapping[str, str | None]) -> dict[str, str | int]:
    if "password" in section:
        raise ComputeConfigurationError(
            f"service {name!r} in {path} holds a password: give it under `credentials`, by reference, instead"
        )
    unknown = sorted(key for key in section if key not in EXPRESSIBLE)
    if unknown:
        raise ComputeConfigurationError(
            f"service {name!r} in {path} sets {', '.join(unknown)}, which a dbt-postgres profile cannot hold"
        )
    found: dict[str, str | int] = {}
    for key, value in section.items():
        if key in INTEGERS:
            if value is None or not value.isdigit():
                raise ComputeConfigurationError(f"service {name!r} in {path}: {key} is no number")
            found[key] = int(value)
        else:
            found[key] = value or ""
    return found
