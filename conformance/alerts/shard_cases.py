"""Promtool's cases of the alerts on shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.alerts.promtool import Case, firing, quiet, series, status, up

if TYPE_CHECKING:
    from conformance.alerts.promtool import Series

DOWN, ALL_DOWN = "FloeMonitorDown", "FloeMonitorsAllDown"
UNWATCHED, SHARD_DOWN = "FloeTargetsUnwatched", "FloeShardDown"
STARTED = "process_start_time_seconds"
ON_TWO = {"a": "xy", "b": "yz", "c": "zx"}
ON_ONE = {"a": "x", "b": "y", "c": "z"}


def shards(on: dict[str, str], replicas: int, **lives: str) -> list[Series]:
    """Three, each with its targets of three; `lives` has `1` and `0` for each scrape, and ends with a 1."""
    found: list[Series] = []
    for number, (instance, targets) in enumerate(on.items()):
        alive = lives[instance].split()
        found.append(up(instance, lives[instance]))
        seen = " ".join(_seen(each) for each in alive)
        labels = {"shard": str(number), "shards": "3", "replicas": str(replicas)}
        found += [
            series("floe_monitor_shard_info", seen, instance=instance, **labels),
            series("floe_monitor_configured_targets", seen.replace("1x", "3x"), instance=instance),
            *(status(instance, seen, target=target) for target in targets),
        ]
    return found


def _seen(life: str) -> str:
    """Nothing is scraped while it is down."""
    value, _, count = life.partition("x")
    return f"1x{count}" if value == "1" else f"stale _x{int(count) - 1}"


CASES = (
    Case(
        "each target on two shards, one dies for four minutes",
        shards(ON_TWO, 2, a="1x19 0x15 1x60", b="1x100", c="1x100"),
        [quiet(alert, 0, 1400) for alert in (DOWN, ALL_DOWN, UNWATCHED, SHARD_DOWN)],
    ),
    Case(
        "each target on two shards, one dies for half an hour",
        shards(ON_TWO, 2, a="1x19 0x120 1x60", b="1x210", c="1x210"),
        [
            quiet(SHARD_DOWN, 0, 885), firing(SHARD_DOWN, 915, 2085), quiet(SHARD_DOWN, 2130, 3000),
            *(quiet(alert, 0, 3000) for alert in (DOWN, ALL_DOWN, UNWATCHED)),
        ],
    ),
    Case(
        "each target on two shards, two die for ten minutes: one page, of the targets that they shared",
        shards(ON_TWO, 2, a="1x19 0x40 1x60", b="1x19 0x40 1x60", c="1x125"),
        [
            quiet(UNWATCHED, 0, 345), firing(UNWATCHED, 375, 900), quiet(UNWATCHED, 990, 1700),
            quiet(DOWN, 0, 1700), quiet(ALL_DOWN, 0, 1700),
        ],
    ),
    Case(
        "each target on one shard, one dies for ten minutes: one page, that it is down",
        shards(ON_ONE, 1, a="1x19 0x40 1x60", b="1x125", c="1x125"),
        [firing(DOWN, 360, 1150), *(quiet(alert, 0, 1700) for alert in (UNWATCHED, ALL_DOWN, SHARD_DOWN))],
    ),
    Case(
        "one of three shards was never there",
        shards(ON_ONE, 1, b="1x80", a="1x80", c="1x80")[:-5],
        [firing(UNWATCHED, 75, 1100), quiet(DOWN, 0, 1100)],
    ),
    Case(
        "a shard that starts again and again, each target on two",
        [
            *shards(ON_TWO, 2, a="1x300", b="1x300", c="1x300"),
            series(STARTED, "5x20 " + " ".join(f"{300 + 90 * n}x5" for n in range(1, 16)) + " 1800x160", instance="a"),
        ],
        [firing(SHARD_DOWN, 1500, 2400, every=60), quiet(SHARD_DOWN, 3900, 4200, every=60), quiet(DOWN, 0, 4200)],
    ),
)  # fmt: skip
