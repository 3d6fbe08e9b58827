"""Promtool's cases of the alert on what expires soon."""

from __future__ import annotations

from conformance.alerts.promtool import Case, Described, Series, firing, of_target, quiet, status, up

SOON, UNHEALTHY = "FloeExpiringSoon", "FloeTargetUnhealthy"
CERTIFICATE, PASSWORD = 'what="server_certificate"', 'what="password"'


def ends(instance: str, values: str, what: str = "password") -> Series:
    return of_target("floe_compute_target_expiry_timestamp_seconds", instance, values, what=what)


def lead(instance: str, values: str, what: str = "password") -> Series:
    return of_target("floe_compute_target_expiry_warning_seconds", instance, values, what=what)


CASES = (
    Case(
        "an hour before it ends, until it is renewed",
        [up("a", "1x200"), status("a", "1x200"), ends("a", "9000x119 90000x80"), lead("a", "3600x200")],
        [
            quiet(SOON, 0, 5400, every=60), firing(SOON, 5580, 7140, every=60),
            quiet(SOON, 7380, 11400, every=60), quiet(UNHEALTHY, 0, 11400, every=60),
        ],
        interval=60,
    ),
    Case(
        "two monitors see two things that end: one alert for each",
        [
            *(up(each, "1x120") for each in "ab"), *(status(each, "1x120") for each in "ab"),
            *(ends(each, "9000x120", what) for each in "ab" for what in ("password", "server_certificate")),
            *(lead(each, "3600x120", what) for each in "ab" for what in ("password", "server_certificate")),
        ],
        [
            firing(SOON, 5580, 7140, every=60, count=2),
            firing(SOON, 5580, 7140, every=60, matchers=CERTIFICATE), firing(SOON, 5580, every=60, matchers=PASSWORD),
        ],
        interval=60,
    ),
    Case(
        "it ends, and with it the logins: the warning goes on beside the page",
        [
            up("a", "1x200"), status("a", "1x149 3x49"), ends("a", "9000x200"), lead("a", "3600x200"),
        ],
        [firing(SOON, 5580, 11400, every=60), firing(UNHEALTHY, 9180, 11400, every=60)],
        [
            Described(
                SOON, second,
                {"job": "floe", "target": "wh", "plugin": "pg", "what": "password", "severity": "warning"},
                {
                    "summary": f"The password of wh (pg) {said}",
                    "description": "dbt works until then. Renew it: the alert ends with the first probe that sees the "
                    "new one.",
                    "page_url": "http://a/targets/wh",
                    "runbook_url": "https://floe-monitor.example.com/docs/alerts.html#floeexpiringsoon",
                },
            )
            for second, said in ((5700, "expires in 55m 0s"), (9600, "has expired"))
        ],
        interval=60,
    ),
    Case(
        "the monitor is killed for an hour and renews nothing",
        [
            up("a", "1x119 0x60 1x20"), status("a", "1x119 stale _x59 0x2 1x17"),
            ends("a", "9000x119 stale _x62 90000x17"), lead("a", "3600x119 stale _x62 3600x17"),
        ],
        [firing(SOON, 5580, 10920, every=60), quiet(SOON, 11400, 11900, every=60)],
        interval=60,
    ),
    Case(
        "the pod is rolled: another has its place within five minutes",
        [
            up("a", "1x119 stale"), status("a", "1x119 stale"), ends("a", "9000x119 stale"), lead("a", "3600x119 stale"),
            up("n", "_x122 1x60"), status("n", "_x122 0 1x59"), ends("n", "_x123 9000x59"), lead("n", "_x123 3600x59"),
        ],
        [firing(SOON, 5580, 10800, every=60)],
        interval=60,
    ),
    Case(
        "the target is removed",
        [up("a", "1x200"), status("a", "1x119 stale"), ends("a", "9000x119 stale"), lead("a", "3600x119 stale")],
        [firing(SOON, 5580, 7140, every=60), quiet(SOON, 7500, 11400, every=60)],
        interval=60,
    ),
    Case(
        "nobody wants a warning",
        [up("a", "1x200"), status("a", "1x200"), ends("a", "9000x200")],
        [quiet(SOON, 0, 11400, every=60)],
        interval=60,
    ),
)  # fmt: skip
