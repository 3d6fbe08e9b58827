"""The outages of the replay, and who is to be paged how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.alerts import engine_outages as engines
from conformance.alerts import maintenance, network_outages
from conformance.alerts import monitor_outages as monitors
from conformance.alerts.scenario_setup import (
    ALL_DOWN,
    BURNING,
    CONNECTIVITY,
    DOWN,
    EXPIRING,
    ISOLATED,
    UNHEALTHY,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.alerts.scenario_setup import ScenarioSetup

TARGETS_RESOLVE, MONITORS_RESOLVE = 60.0, 360.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """`pages` is how often whoever is on call is told of which alert, `left` what is open at the end.

    `timed` is the alert whose times are measured; they are bounded where the clocks are real.
    """

    name: str
    play: Callable[[ScenarioSetup], None]
    pages: Mapping[str, int]
    timed: str = UNHEALTHY
    left: frozenset[str] = frozenset()
    resolves_within: float = TARGETS_RESOLVE
    pages_within: float | None = 75.0
    warnings: Mapping[str, int] = field(default_factory=Counter)

    @property
    def job(self) -> str:
        return "floe-" + "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())


SCENARIOS = (
    Scenario("Engine stopped and back, two monitors", engines.server_stopped, {UNHEALTHY: 1}),
    Scenario(
        "Password expired and renewed",
        engines.password_expired,
        {UNHEALTHY: 1},
        warnings={EXPIRING: 1},
    ),
    Scenario(
        "Certificate near its end, renewed",
        engines.certificate_near_its_end,
        {},
        EXPIRING,
        resolves_within=240,
        pages_within=180,
        warnings={EXPIRING: 1},
    ),
    Scenario("File replaced by junk and restored", engines.file_spoilt, {UNHEALTHY: 1}),
    Scenario(
        "Every other probe fails",
        engines.half_fails,
        {BURNING: 1},
        BURNING,
        frozenset({BURNING}),
        pages_within=600,
    ),
    Scenario("Target removed while it fires, two monitors", engines.removed, {UNHEALTHY: 1}),
    Scenario("Target renamed while it fires", engines.renamed, {UNHEALTHY: 2}),
    Scenario("Two faults in maintenance, the second outlasts it", maintenance.outlasted, {UNHEALTHY: 1}),
    Scenario(
        "Maintenance begins while it fires, and it fails again in it", maintenance.begun, {UNHEALTHY: 1}
    ),
    Scenario(
        "Lone monitor killed for 4 minutes while it fires",
        lambda setup: monitors.killed(setup, 1, 1, recovers=False),
        {UNHEALTHY: 1, ALL_DOWN: 1},
    ),
    Scenario(
        "The same, and the engine recovers meanwhile",
        lambda setup: monitors.killed(setup, 1, 1, recovers=True),
        {UNHEALTHY: 1, ALL_DOWN: 1},
    ),
    Scenario(
        "One of two monitors killed for 4 minutes while it fires",
        lambda setup: monitors.killed(setup, 2, 1, recovers=False),
        {UNHEALTHY: 1, DOWN: 1},
    ),
    Scenario(
        "Both killed for 4 minutes while it fires",
        lambda setup: monitors.killed(setup, 2, 2, recovers=False),
        {UNHEALTHY: 1, ALL_DOWN: 1},
    ),
    Scenario("Pod rolled while it fires, nobody for 50 s", monitors.rolled, {UNHEALTHY: 1}),
    Scenario(
        "Never started",
        monitors.never_started,
        {ALL_DOWN: 1},
        ALL_DOWN,
        frozenset({ALL_DOWN}),
        pages_within=120,
    ),
    Scenario(
        "Never started, beside one that lives",
        monitors.never_started_beside_another,
        {DOWN: 1},
        DOWN,
        frozenset({DOWN}),
        pages_within=120,
    ),
    Scenario(
        "Crash loop from the start, beside one that lives",
        monitors.crash_loop,
        {DOWN: 1},
        DOWN,
        resolves_within=MONITORS_RESOLVE,
        pages_within=300,
    ),
    Scenario(
        "Two monitors die 90 s apart, both return",
        monitors.one_after_the_other,
        {DOWN: 1, ALL_DOWN: 1},
        DOWN,
        resolves_within=MONITORS_RESOLVE,
        pages_within=120,
    ),
    Scenario(
        "One node of three cut off, four targets",
        monitors.cut_off,
        {ISOLATED: 1},
        ISOLATED,
        resolves_within=240,
        pages_within=120,
    ),
    Scenario(
        "Network cut between two monitors and all four engines",
        network_outages.all_ways_cut,
        {CONNECTIVITY: 1},
        CONNECTIVITY,
        resolves_within=240,
        pages_within=120,
    ),
    Scenario("Network cut to one of four engines", network_outages.one_way_cut, {UNHEALTHY: 1}),
)
