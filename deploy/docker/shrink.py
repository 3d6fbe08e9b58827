"""Leave out of an image's packages what no process there reads: `shrink.py SITE_PACKAGES`.

Debug information and symbol tables of native libraries, which many wheels carry and no loader looks at; what
compilers and type checkers read; the list of files and the README in a package's metadata; and of some
distributions test suites and parts that nothing of what is installed beside them imports.
"""

from __future__ import annotations

import re
import shutil
import struct
import sys
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READ_BY_OTHER_TOOLS = ("*.pyi", "*-stubs", "*.pyx", "*.pxd", "*.proto", "*.c", "*.h")
"""Of type checkers, and of compilers of C, of Cython and of protocol buffers."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Of one distribution. It stays whole where another than `users` requires it, as somebody's plugin may.

    `parts` go, files and directories by pattern; of a directory in `all_but` everything goes but those.
    """

    users: frozenset[str]
    parts: tuple[str, ...] = ()
    all_but: Mapping[str, frozenset[str]] = field(default_factory=dict)


_INIT = "__init__.py"
_CONVENTIONS = "opentelemetry/semconv/_incubating"
UNREAD = {
    # The history needs Core, on SQLite and Postgres. PyHive's dialects are an extra that nothing asks for.
    "alembic": Unread(frozenset({"floe-monitor"}), ("alembic/templates", "alembic/testing")),
    "mako": Unread(frozenset({"alembic"}), ("mako/ext/pygmentplugin.py", "mako/testing")),
    "sqlalchemy": Unread(
        frozenset({"alembic", "floe-monitor", "pyhive"}),
        ("sqlalchemy/dialects/*/provision.py", "sqlalchemy/orm", "sqlalchemy/testing"),
        {
            "sqlalchemy/dialects": frozenset({_INIT, "_typing.py", "postgresql", "sqlite"}),
            "sqlalchemy/ext": frozenset({_INIT, "compiler.py"}),
        },
    ),
    # PySpark's interface on DuckDB.
    "duckdb": Unread(
        frozenset(
            {"floe-monitor-duckdb", *(f"duckdb-extension-{each}" for each in ("avro", "httpfs", "iceberg"))}
        ),
        ("duckdb/experimental",),
    ),
    # Messages of Google's own services; OTLP has its own, and `google.rpc` for what went wrong.
    "googleapis-common-protos": Unread(
        frozenset({"opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-http"}),
        (
            *(f"google/{each}" for each in ("api", "gapic", "logging", "longrunning", "type")),
            *(f"google/cloud/{each}" for each in ("common_resources*", "extended_operations*", "location")),
        ),
    ),
    # Names of attributes and metrics of other programs than the exporters.
    "opentelemetry-semantic-conventions": Unread(
        frozenset(
            {
                "opentelemetry-exporter-otlp-proto-grpc",
                "opentelemetry-exporter-otlp-proto-http",
                "opentelemetry-sdk",
            }
        ),
        (),
        {
            f"{_CONVENTIONS}/attributes": frozenset({_INIT, "otel_attributes.py", "rpc_attributes.py"}),
            f"{_CONVENTIONS}/metrics": frozenset({_INIT, "otel_metrics.py"}),
        },
    ),
    # Its former version, and mypy's plugin.
    "pydantic": Unread(
        frozenset({"floe-monitor", "pydantic-settings", "typer"}), ("pydantic/mypy.py", "pydantic/v1")
    ),
    # Rich colours Python, in one style, and formats by itself.
    "pygments": Unread(
        frozenset({"rich"}),
        (),
        {
            "pygments/lexers": frozenset({_INIT, "_mapping.py", "python.py", "special.py"}),
            "pygments/styles": frozenset({_INIT, "_mapping.py", "default.py", "monokai.py"}),
        },
    ),
}

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ELF_64_LITTLE = b"\x7fELF\x02\x01"


def without_sections(content: bytes) -> bytes:
    """An ELF file as far as the loader reads it: what lies behind the last segment, and its index, go."""
    if len(content) < _HEADER.size or not content.startswith(_ELF_64_LITTLE):
        return content
    header = list(_HEADER.unpack_from(content))
    first, size, count = header[5], header[9], header[10]
    end = first + size * count
    for number in range(count):
        segment = _SEGMENT.unpack_from(content, first + number * size)
        end = max(end, segment[2] + segment[5])
    header[6] = header[12] = header[13] = 0  # of sections: where their table is, how many, which has names
    return _HEADER.pack(*header) + content[_HEADER.size : end]


def unread(packages: Path) -> Iterator[Path]:
    """Files and directories there that can go; some lie within others."""
    for pattern in READ_BY_OTHER_TOOLS:
        yield from packages.rglob(pattern)
    yield from packages.glob("*.dist-info/RECORD")
    users = _users(packages)
    for distribution, known in UNREAD.items():
        if users.get(distribution, set()) <= known.users:
            for part in known.parts:
                yield from packages.glob(part)
            for directory, kept in known.all_but.items():
                yield from (each for each in packages.glob(f"{directory}/*") if each.name not in kept)


def shrink(packages: Path) -> None:
    for path in packages.rglob("*.so*"):
        content = path.read_bytes()
        kept = without_sections(content)
        if len(kept) < len(content):
            path.write_bytes(kept)
    for path in packages.glob("*.dist-info/METADATA"):
        fields, _, _ = path.read_bytes().partition(b"\n\n")
        path.write_bytes(fields + b"\n")
    for path in [*unread(packages)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in sorted((each for each in packages.rglob("*") if each.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _users(packages: Path) -> dict[str, set[str]]:
    """Who requires a distribution, by its name; in an extra too."""
    found: dict[str, set[str]] = {}
    for each in distributions(path=[str(packages)]):
        for requirement in each.requires or ():
            if match := re.match(r"[\w.-]+", requirement):
                found.setdefault(_normal(match[0]), set()).add(_name(each))
    return {name: users - {name} for name, users in found.items()}


def _name(distribution: Distribution) -> str:
    return _normal(distribution.metadata["Name"])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    shrink(Path(sys.argv[1]))
