"""Promtool's cases of the alerts on the monitors themselves."""

from __future__ import annotations

from conformance.alerts.promtool import Case, Series, firing, quiet, series, status, up

DOWN, ALL_DOWN, ABSENT = "FloeMonitorDown", "FloeMonitorsAllDown", "FloeMonitorAbsent"
STARTED = "process_start_time_seconds"
FAILING, MESSAGES = "FloeNotificationsFailing", "floe_monitor_notifications_total"
BUCKET = "floe_monitor_schedule_lag_seconds_bucket"
DAY = 86_400

GONE = (
    Case(
        "missed scrapes of half a minute, then down for ten minutes",
        [up("a", "1x19 0x1 1x20 0x40 1x60")],
        [
            quiet(DOWN, 0, 2000),
            quiet(ALL_DOWN, 0, 660),
            firing(ALL_DOWN, 690, 1500),
            quiet(ALL_DOWN, 1575, 2000),
        ],
    ),
    Case(
        "one never started, another lives",
        [up("a", "0x200"), up("b", "1x200"), status("b", "1x200")],
        [firing(DOWN, 60, 2400), quiet(ALL_DOWN, 0, 2400)],
    ),
    Case(
        "the only one never started", [up("a", "0x200")], [quiet(DOWN, 0, 2400), firing(ALL_DOWN, 60, 2400)]
    ),
    Case(
        "down for three days",
        [up("a", "1x9 0x900"), up("b", "1x910"), status("a", "1x9 stale"), status("b", "1x910")],
        [firing(DOWN, DAY * day) for day in (1, 2, 3)],
        interval=300,
    ),
    Case(
        "a crash loop that is scraped as up now and then, beside one that lives",
        [
            up("a", "0" + " 0 0 1 0" * 20 + " 1x60"),
            up("b", "1x150"),
            series(
                STARTED,
                "_" + "".join(f" _ _ {60 * n} stale" for n in range(1, 21)) + " 1230x60",
                instance="a",
            ),
        ],
        [firing(DOWN, 300, 1500), quiet(DOWN, 1590, 2200), quiet(ALL_DOWN, 0, 2200)],
    ),
    Case(
        "a crash loop with pauses of five minutes does not resolve between",
        [up("a", "0x20 1x2 0x20 1x2 0x20 1x2 0x20 1x60"), up("b", "1x150")],
        [firing(DOWN, 60, 1600), quiet(DOWN, 1770, 2100)],
    ),
    Case(
        "a crash loop of the only one is one page",
        [
            up("a", "0" + " 0 0 1 0" * 20 + " 1x60"),
            series(STARTED, "_" + "".join(f" _ _ {60 * n} stale" for n in range(1, 21)) + " 1230x60", instance="a"),
        ],
        [firing(DOWN, 300, 1500), quiet(DOWN, 1590, 2200), quiet(ALL_DOWN, 0, 2200)],
    ),
    Case(
        "a crash loop that no scrape sees down",
        [
            up("a", "1x160"),
            series(STARTED, "5x20 " + " ".join(f"{300 + 30 * n}x1" for n in range(1, 16)) + " 800x80", instance="a"),
        ],
        [firing(DOWN, 450, 1050), quiet(DOWN, 1200, 2000)],
    ),
    Case(
        "both go down, the second a scrape later, and come back so: nobody is told of one",
        [up("a", "1x39 0x40 1x60"), up("b", "1x40 0x40 1x60")],
        [quiet(DOWN, 0, 2000), quiet(ALL_DOWN, 0, 645), firing(ALL_DOWN, 675, 1500), quiet(ALL_DOWN, 1575, 2000)],
    ),
    Case(
        "both go down, the second later, and come back: each page resolves",
        [up("a", "1x39 0x40 1x60"), up("b", "1x45 0x34 1x60")],
        [
            quiet(DOWN, 0, 630), firing(DOWN, 660, 1500), quiet(DOWN, 1575, 2000),
            firing(ALL_DOWN, 750, 1500), quiet(ALL_DOWN, 1575, 2000),
        ],
    ),
    Case(
        "both go down, and one stays away: it is told by itself",
        [up("a", "1x39 0x40 1x60"), up("b", "1x39 0x100")],
        [quiet(DOWN, 0, 1230), firing(DOWN, 1275, 2000), quiet(ALL_DOWN, 1575, 2000)],
    ),
    Case(
        "two restarts are no crash loop",
        [up("a", "1x100"), series(STARTED, "5x20 300x20 600x60", instance="a")],
        [quiet(DOWN, 0, 1500)],
    ),
    Case(
        "nobody is looked for until minute ten",
        [Series('up{job="node",instance="n"}', "1x100"), up("a", "_x40 1x60")],
        [quiet(ABSENT, 0, 285), firing(ABSENT, 315, 585), quiet(ABSENT, 630, 1500)],
    ),
)  # fmt: skip


def warning(alert: str, name: str, values: str, fires: tuple[int, int], resolved: int, **labels: str) -> Case:
    """One series, a sample a minute, quiet until five minutes before the alert fires at the latest."""
    first, last = fires
    return Case(
        f"{alert}: {name}",
        [up("a", "1x140"), series(name, values, instance="a", **labels)],
        [
            quiet(alert, 0, first - 300, every=60),
            firing(alert, first, last, every=60),
            quiet(alert, resolved, resolved + 600, every=60),
        ],
        interval=60,
    )


WARNINGS = (
    warning(
        "FloeMonitorNotProbing", "floe_monitor_scheduler_beat_age_seconds", "0x10 100 0x10 10+60x20 0x30",
        (1740, 2400), 2640,
    ),
    Case(
        "FloeMonitorNotProbing: even the target least overdue is overdue, where one of two is this is not so",
        [
            up("a", "1x140"),
            *(
                series(name, values, instance="a", target=target, plugin="pg")
                for target, times in (("x", "0+60x20 1200x119"), ("y", "0+60x50 3000x30 4860+60x60"))
                for name, values in (
                    ("floe_compute_target_last_validation_timestamp_seconds", times),
                    ("floe_compute_target_interval_seconds", "60x140"),
                )
            ),
        ],
        [
            quiet("FloeMonitorNotProbing", 0, 3420, every=60), firing("FloeMonitorNotProbing", 3720, 4800, every=60),
            quiet("FloeMonitorNotProbing", 4980, 6000, every=60),
        ],
        interval=60,
    ),
    Case(
        "FloeMonitorNotProbing: the validation of its only target hangs, which is UNHEALTHY",
        [
            up("a", "1x140"),
            status("a", "1x20 3x119", target="x"),
            series("floe_compute_target_last_validation_timestamp_seconds", "0+60x20 1200x119", instance="a", target="x", plugin="pg"),
            series("floe_compute_target_interval_seconds", "60x140", instance="a", target="x", plugin="pg"),
        ],
        [quiet("FloeMonitorNotProbing", 0, 6000, every=60), firing("FloeTargetUnhealthy", 2400, 6000, every=300)],
        interval=60,
    ),
    warning("FloeWorkersStuck", "floe_monitor_workers_stuck", "0x9 1x5 0x9 2x20 0x20", (2160, 2640), 2820, plugin="pg"),
    warning(
        "FloeProbesSkipped", "floe_monitor_probes_skipped_total", "0x20 2x20 2+1x30 33x40",
        (3600, 4200), 4800, plugin="pg", reason="no_slot",
    ),
    Case(
        "FloeScheduleLag: late for half an hour",
        [
            up("a", "1x140"),
            series(BUCKET, "0+9x20 180x30 190+9x60", instance="a", le="1.0"),
            series(BUCKET, "0+10x20 200+10x90", instance="a", le="2.5"),
            series(BUCKET, "0+10x20 200+10x90", instance="a", le="+Inf"),
        ],
        [firing("FloeScheduleLag", 2400, 3000, every=60)],
        interval=60,
    ),
    Case(
        "FloeScheduleLag: in time, then late, then in time",
        [
            up("a", "1x140"),
            series(BUCKET, "0+10x20 200x30 210+10x60", instance="a", le="1.0"),
            series(BUCKET, "0+10x110", instance="a", le="2.5"),
            series(BUCKET, "0+10x110", instance="a", le="+Inf"),
        ],
        [
            quiet("FloeScheduleLag", 0, 1500, every=60), firing("FloeScheduleLag", 2100, 3000, every=60),
            quiet("FloeScheduleLag", 3540, 4000, every=60),
        ],
        interval=60,
    ),
    warning(
        "FloeConfigReloadFailed", "floe_monitor_config_last_reload_successful", "1x9 0x3 1x9 0x20 1x20",
        (1800, 2580), 2760,
    ),
    warning(
        "FloeProfileOutOfSync", "floe_monitor_profile_in_sync", "1x9 0x3 1x9 0x20 1x20", (1800, 2580), 2760, profile="p"
    ),
    warning(
        "FloeSinkDropping", "floe_monitor_sink_dropped_total", "0x20 5x20 5+10x30 305x40", (3360, 4200), 4800, sink="otlp"
    ),
    warning("FloeHistoryNotWritten", "floe_monitor_history_up", "1x9 0x5 1x9 0x20 1x20", (2160, 2700), 2820),
    Case(
        "FloeNotificationsFailing: a message is given up, and later ones are sent",
        [
            up("a", "1x140"),
            series(MESSAGES, "0x20 1x119", instance="a", channel="team", result="dead"),
            series(MESSAGES, "0x20 5x119", instance="a", channel="team", result="failed"),
            series(MESSAGES, "0x21 1+1x118", instance="a", channel="team", result="sent"),
        ],
        [
            quiet(FAILING, 0, 1500, every=60), firing(FAILING, 1920, 4740, every=60), quiet(FAILING, 5040, 8000, every=60),
        ],
        interval=60,
    ),
    Case(
        "FloeNotificationsFailing: a receiver is away for forty minutes, attempts are five minutes apart",
        [
            up("a", "1x140"),
            series(MESSAGES, "0x20 " + " ".join(f"{n}x4" for n in range(1, 9)) + " 8x79", instance="a", channel="team", result="failed"),
            series(MESSAGES, "3x61 4x79", instance="a", channel="team", result="sent"),
            series(MESSAGES, "0x140", instance="a", channel="team", result="dead"),
            series(MESSAGES, "0+1x140", instance="a", channel="chat", result="sent"),
        ],
        [
            quiet(FAILING, 0, 1560, every=60), firing(FAILING, 1980, 3660, every=60), quiet(FAILING, 3900, 8000, every=60),
        ],
        interval=60,
    ),
    Case(
        "FloeNotificationsFailing: every other attempt fails",
        [
            up("a", "1x140"),
            *(series(MESSAGES, "0+1x140", instance="a", channel="team", result=each) for each in ("failed", "sent")),
        ],
        [quiet(FAILING, 0, 8000, every=60)],
        interval=60,
    ),
)  # fmt: skip

CASES = (*GONE, *WARNINGS)
