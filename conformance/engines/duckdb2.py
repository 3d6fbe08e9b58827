"""DuckDB 2 beside the monitor's own 1.5: its files, and those that it goes on writing."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import environments
from conformance.cases import Case, Engine, Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

REQUIREMENTS = "dbt-duckdb-2.txt"
_CREATE = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("CREATE OR REPLACE TABLE t AS SELECT range AS a FROM range(1000)")
"""
_HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def create_newer(path: Path) -> None:
    """With the DuckDB that dbt has here; a file that is there stays, with one more table."""
    subprocess.run([_python(), "-c", _CREATE, str(path)], check=True)


def create_own(path: Path) -> None:
    """With the monitor's DuckDB."""
    import duckdb  # noqa: PLC0415 - only where cases run

    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")


def _python() -> str:
    return str(environments.built(REQUIREMENTS) / "bin" / "python")


@contextmanager
def _memory(folder: Path) -> Iterator[Situation]:  # noqa: ARG001 - needs no directory
    yield Situation({"connection": {}})


@contextmanager
def _file(
    folder: Path,
    changes: Sequence[Callable[[Path], object]] = (create_newer,),
    attach: Mapping[str, Any] | None = None,
) -> Iterator[Situation]:
    """A target on shop.duckdb after those changes; with `attach`, on that and on an own file."""
    path = folder / "shop.duckdb"
    for change in changes:
        change(path)
    if attach is None:
        yield Situation({"connection": {"path": str(path)}})
        return
    own = folder / "own.duckdb"
    create_own(own)
    yield Situation({"connection": {"path": str(own), "attach": [{"path": str(path), **attach}]}})


@contextmanager
def _held(folder: Path) -> Iterator[Situation]:
    with _file(folder) as situation:
        command = [_python(), "-c", _HOLD, str(folder / "shop.duckdb")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            if process.stdout is None or process.stdout.readline() != b"held\n":
                raise RuntimeError("the database could not be held")
            yield situation


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


ENGINE = Engine(
    plugin="duckdb",
    title="duckdb 2",
    requirements=REQUIREMENTS,
    modules=("dbt.adapters.duckdb", "duckdb"),
    about="dbt-core 1.11.16, dbt-duckdb 1.11.1, DuckDB 2.0.1, which is what `pip install dbt-duckdb` brings; "
    "the monitor has DuckDB 1.5.5, which does not read the files that 2.0.1 makes. No network.",
    cases=(
        Case("in memory", _memory),
        Case("a file made by DuckDB 2", _file),
        Case("a file made by DuckDB 1.5", partial(_file, changes=[create_own])),
        Case(
            "a file made by DuckDB 1.5, written by DuckDB 2",
            partial(_file, changes=[create_own, create_newer]),
        ),
        Case("a file made by DuckDB 2, attached", partial(_file, attach={"alias": "more"})),
        Case(
            "a file made by DuckDB 2, attached read only",
            partial(_file, attach={"alias": "more", "read_only": True}),
        ),
        Case("no file", partial(_file, changes=[])),
        Case("a file made by DuckDB 2, held by a writer", _held),
        Case("a file made by DuckDB 2, truncated", partial(_file, changes=[create_newer, _cut])),
        Case(
            "a file made by DuckDB 2, its main header altered", partial(_file, changes=[create_newer, _flip])
        ),
    ),
)
