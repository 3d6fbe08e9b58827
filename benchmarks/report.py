"""One row of what is claimed, what was measured and against what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    claim: str
    measured: str
    target: str
    met: bool | None
    """None where nothing could be compared here; `compared` then says why."""
    compared: str


def show(rows: list[Row]) -> None:
    """Print rows as they are ready, one line each, in columns."""
    for row in rows:
        mark = {True: "met", False: "SHORT", None: "–"}[row.met]
        print(f"{row.claim:<58} {row.measured:>16}   {row.target:>14}   {mark:<6} {row.compared}", flush=True)
