"""What a soak has measured: tables, and what must hold."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from conformance import process_samples

if TYPE_CHECKING:
    from conformance.process_samples import Sample

WELL, HUNG = "-well", "-hung"
MEMORY_MIB, FEW, LAG_SECONDS, OVERRUN_SECONDS, STOP_SECONDS = 5.0, 2, 0.25, 0.1, 10.0
WARM_UP, WARM_UP_MOST = 0.2, 120.0
"""What of the time is not judged for speed and growth, and the most of it in seconds: drivers are imported,
caches and histories fill."""
JUDGE_MEMORY_FROM = 300.0
"""A shorter soak says nothing about memory."""
LATEST_SECONDS = 0.3
"""Of any healthy tick, in a soak of that length on a machine that has nothing else to do."""


@dataclass(frozen=True, slots=True)
class Probe:
    """`started` is Unix time."""

    started: float
    duration: float
    status: str
    error_type: str | None


def share_of(durations: list[float], share: float) -> float:
    """The duration that this share of them does not exceed."""
    ordered = sorted(durations)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def line(sample: Sample) -> str:
    return (
        f"{sample.at:4.0f} s  {sample.memory:.1f} MiB  {sample.threads} threads  "
        f"{sample.descriptors} descriptors  {sample.stuck} stuck"
    )


@dataclass
class Run:
    """`samples` of the daemon, its log of every probe, its exit `code` and the seconds it took to `stop`."""

    samples: list[Sample]
    log: str
    interval: float
    hung_timeout: float
    code: int | None
    stop: float

    @cached_property
    def seconds(self) -> float:
        return self.samples[-1].at

    @cached_property
    def steady(self) -> list[Sample]:
        begin = min(WARM_UP_MOST, self.seconds * WARM_UP)
        return [sample for sample in self.samples if sample.at >= begin]

    @cached_property
    def probes(self) -> dict[str, list[Probe]]:
        found: dict[str, list[Probe]] = {}
        for text in self.log.splitlines():
            if '"probe finished"' in text:
                told = json.loads(text)
                duration = told["duration_ms"] / 1000
                ended = datetime.fromisoformat(told["timestamp"]).timestamp()
                probe = Probe(ended - duration, duration, told["status"], told.get("error_type"))
                found.setdefault(told["target"], []).append(probe)
        return dict(sorted(found.items()))

    def later(self, name: str) -> list[Probe]:
        """The target's probes after the warm-up."""
        begin = self.probes[name][0].started + self.steady[0].at
        return [probe for probe in self.probes[name] if probe.started >= begin]

    def lost(self, name: str) -> int:
        """Ticks after the warm-up that became no probe."""
        probes = self.later(name)
        return round((probes[-1].started - probes[0].started) / self.interval) + 1 - len(probes)

    def late(self, name: str) -> list[float]:
        """By how much each probe after the warm-up began behind the one that was most punctual."""
        half, first = self.interval / 2, self.later(name)[0].started
        off = [(probe.started - first + half) % self.interval - half for probe in self.later(name)]
        return [each - min(off) for each in off]

    def _of(self, suffix: str) -> list[str]:
        return [name for name in self.probes if name.endswith(suffix)]

    # ------------------------------------------------------------ what must hold

    @cached_property
    def growth(self) -> dict[str, tuple[float, float, float]]:
        """Medians of the first and the last third, and the highest."""
        rows: dict[str, list[float]] = {
            "memory, MiB": [sample.memory for sample in self.steady],
            "threads": [sample.threads for sample in self.steady],
            "descriptors": [sample.descriptors for sample in self.steady],
            "child processes": [sample.children for sample in self.steady],
            "stuck workers": [sample.stuck for sample in self.steady],
        }
        return {name: (*process_samples.thirds(values), max(values)) for name, values in rows.items()}

    @cached_property
    def findings(self) -> dict[str, bool]:
        grown = {name: last - first for name, (first, last, _) in self.growth.items()}
        well, hung = self._of(WELL), self._of(HUNG)
        answers = {name: {(each.status, each.error_type) for each in self.probes[name]} for name in hung}
        in_time = self.hung_timeout + OVERRUN_SECONDS
        findings = {
            f"memory grew by {MEMORY_MIB:g} MiB at most": grown["memory, MiB"] <= MEMORY_MIB,
            f"threads and descriptors grew by {FEW} at most": grown["threads"] <= FEW
            and grown["descriptors"] <= FEW,
            "stuck workers grew by none": grown["stuck workers"] <= 0,
            "the well were HEALTHY at every probe": all(
                {probe.status for probe in self.probes[name]} == {"healthy"} for name in well
            ),
            "no tick of the well was lost": all(self.lost(name) == 0 for name in well),
            f"99 % of their probes began within {LAG_SECONDS * 1000:g} ms of their tick": all(
                share_of(self.late(name), 0.99) <= LAG_SECONDS for name in well
            ),
            "the hung were UNHEALTHY by timeout at every probe": all(
                found == {("unhealthy", "timeout")} for found in answers.values()
            ),
            f"99 % of their results came within {in_time * 1000:g} ms": all(
                share_of([each.duration for each in self.later(name)], 0.99) <= in_time for name in hung
            ),
            f"SIGTERM ended it with 0 within {STOP_SECONDS:g} s": self.code == 0
            and self.stop <= STOP_SECONDS,
        }
        if self.seconds < JUDGE_MEMORY_FROM - 1:
            del findings[f"memory grew by {MEMORY_MIB:g} MiB at most"]
        else:
            latest = max(max(self.late(name)) for name in well)
            findings[f"none of their ticks was later than {LATEST_SECONDS:g} s"] = latest <= LATEST_SECONDS
        return findings

    @property
    def holds(self) -> bool:
        return all(self.findings.values())

    # ------------------------------------------------------------ as text

    def text(self) -> str:
        lag = process_samples.lag_within(self.steady[0], self.steady[-1])
        start = self.steady[0].at
        lines = [
            f"{self.seconds:.0f} s, every {self.interval:g} s; all but verdicts: from {start:.0f} s on.",
            "",
            "| The daemon | First third | Last third | Highest |",
            "|---|---|---|---|",
            *(
                f"| {name} | {' | '.join(f'{value:.1f}'.removesuffix('.0') for value in values)} |"
                for name, values in self.growth.items()
            ),
            "",
            "| Target | Verdicts | Probe, p50 | p99 | Longest | Late, p99 | Latest | Ticks lost |",
            "|---|---|---|---|---|---|---|---|",
            *map(self._row, self.probes),
            "",
            f"99 % of all ticks began within {lag * 1000:g} ms by the daemon's own count.",
            f"SIGTERM: exit {self.code} after {self.stop:.1f} s.",
            "",
            *(f"{'holds' if holds else 'FAILS'}  {finding}" for finding, holds in self.findings.items()),
        ]
        return "\n".join(lines)

    def _row(self, name: str) -> str:
        said = Counter(
            probe.status.upper() + (f" ({probe.error_type})" if probe.error_type else "")
            for probe in self.probes[name]
        )
        durations = [probe.duration for probe in self.later(name)]
        times = [share_of(durations, share) for share in (0.5, 0.99, 1.0)]
        times += [share_of(self.late(name), share) for share in (0.99, 1.0)]
        return (
            f"| {name} | {', '.join(f'{count} {verdict}' for verdict, count in said.items())} | "
            f"{' | '.join(f'{each * 1000:.0f} ms' for each in times)} | {self.lost(name)} |"
        )
