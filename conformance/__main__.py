"""`python -m conformance [ENGINE…]`: run the cases, print each verdict, write docs/verdicts.md.

`--check` leaves the page alone, `--json FILE` writes the rows there instead; `--build` only builds dbt's
environments and prints their interpreters. Exits 1 where a verdict disagrees, and in the gate
(`FLOE_MONITOR_CI=1`) where an engine was skipped because its servers cannot be had on this machine.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import engines, environments, report, verdicts

if TYPE_CHECKING:
    from conformance.verdicts import Row


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m conformance", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("engine", nargs="*", help=f"of {', '.join(engines.names())}; all where none is given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, not the page")
    parser.add_argument("--check", action="store_true", help="compare only: leave the page alone")
    parser.add_argument("--build", action="store_true", help="only build dbt's environments")
    arguments = parser.parse_args()
    chosen = arguments.engine or engines.names()
    unknown = sorted(set(chosen) - set(engines.names()))
    if unknown:
        parser.error(f"no cases for {', '.join(unknown)}")
    if arguments.build:
        for name in chosen:
            print(environments.python_of(engines.load(name)))
        return 0
    found: dict[str, list[Row]] = {}
    skipped: list[str] = []
    for name in chosen:
        reason = engines.unavailable(name)
        if reason is not None:
            print(f"{name}: skipped: {reason}", flush=True)
            skipped.append(name)
            continue
        started = time.monotonic()
        found[name] = verdicts.judge(engines.load(name), on_row=_print)
        disagreeing = sum(not row.agrees for row in found[name])
        took = time.monotonic() - started
        print(f"{name}: {len(found[name])} situations, {disagreeing} disagreeing, {took:.0f} s", flush=True)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({name: [row.as_json() for row in rows] for name, rows in found.items()}, indent=1)
        )
    elif not arguments.check:
        page = environments.ROOT / "docs" / "verdicts.md"
        report.write(page, [report.section(engines.load(name), rows) for name, rows in found.items()])
    disagrees = not all(row.agrees for rows in found.values() for row in rows)
    return int(disagrees or (bool(skipped) and os.environ.get("FLOE_MONITOR_CI") == "1"))


def _print(row: Row) -> None:
    mark = "agrees   " if row.agrees else "DISAGREES"
    dbts = "passes" if row.dbt_passed else "fails "
    print(
        f"{mark} {row.status:9} dbt {row.dbt_command:5} {dbts}  {row.case}: {row.message or 'ok'}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
