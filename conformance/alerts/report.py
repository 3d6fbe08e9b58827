"""What the replay found, as a table; the one on real clocks stands in docs/alerts.md."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.alerts.replay import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"
_PLACE = re.compile(r"(?<=<!-- replay -->\n).*?(?=<!-- end of replay -->)", re.DOTALL)


def table(outcomes: Iterable[Outcome]) -> str:
    lines = ["| Scenario | Pages | Fault to page | End to resolve |", "|---|---|---|---|"]
    for each in outcomes:
        told = [f"{count} × {alert}" for alert, count in each.history.pages.items()]
        told += [f"{count} × {alert} (warning)" for alert, count in each.history.warnings.items()]
        pages = ", ".join(told)
        still = ", still firing at the end" if each.history.left else ""
        cells = (each.scenario.name, pages + still, _seconds(each.to_page), _seconds(each.to_resolve))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f} s"


def write(outcomes: Iterable[Outcome]) -> None:
    """Into the page, with the day and the programs' versions."""
    day = dt.datetime.now(dt.UTC).date().isoformat()
    heading = f"{day}, {_version('prometheus')}, {_version('prometheus-alertmanager')}:"
    made = f"\n{heading}\n\n{table(outcomes)}\n"
    PAGE.write_text(_PLACE.sub(lambda _: made, PAGE.read_text()))


def _version(program: str) -> str:
    done = subprocess.run(
        [shutil.which(program) or program, "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"^(\w+), version ([0-9.]+)", done.stdout + done.stderr)
    return f"{found[1].capitalize()} {found[2]}" if found else program
