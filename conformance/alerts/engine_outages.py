"""What happens to engines, and to the configuration of targets that are ill."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from conformance import postgres_servers
from conformance.alerts.scenario_setup import BURNING, EXPIRING
from conformance.loopback_server import LOOPBACK

if TYPE_CHECKING:
    from conformance.alerts.scenario_setup import ScenarioSetup

_PASSWORD = "REPLAY_PASSWORD"  # noqa: S105 - a variable's name
ENVIRONMENT = {_PASSWORD: postgres_servers.PASSWORD}


def server_stopped(setup: ScenarioSetup) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    try:
        setup.watch({"warehouse": postgres_target(cluster.port)}, 2, ENVIRONMENT)
        setup.fault()
        cluster.tool("pg_ctl", "-w", "-m", "immediate", "stop")
        setup.until_paged()
        setup.sleep(60)
        cluster.start()
        setup.mended()
        setup.until_resolved()
        setup.settle()
    finally:
        cluster.remove()


def password_expired(setup: ScenarioSetup) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    try:
        setup.watch({"warehouse": postgres_target(cluster.port)}, 1, ENVIRONMENT)
        cluster.execute(f"ALTER ROLE dbt VALID UNTIL '{_in_days(1).isoformat()}'")
        setup.until_paged(EXPIRING)
        setup.fault()
        cluster.execute("ALTER ROLE dbt VALID UNTIL '2001-01-01'")
        setup.until_paged()
        [page] = [each for each in setup.notified() if each.firing and each.labels["severity"] == "page"]
        if "authentication" not in page.annotations["summary"]:
            raise AssertionError(f"the page does not say why: {page.annotations['summary']}")
        setup.sleep(60)
        cluster.execute("ALTER ROLE dbt VALID UNTIL 'infinity'")
        setup.mended()
        setup.until_resolved()
        setup.until_resolved(EXPIRING)
        setup.settle()
    finally:
        cluster.remove()


def certificate_near_its_end(setup: ScenarioSetup) -> None:
    import trustme  # noqa: PLC0415 - only where it is used

    authority = trustme.CA()
    cluster = postgres_servers.launch(
        postgres_servers.system(), postgres_servers.server_files(authority, authority.issue_cert(LOOPBACK))
    )
    try:
        setup.watch({"warehouse": postgres_target(cluster.port)}, 1, ENVIRONMENT)
        setup.fault()
        cluster.certify(authority, authority.issue_cert(LOOPBACK, not_after=_in_days(3)))
        setup.until_paged(EXPIRING)
        setup.sleep(60)
        cluster.certify(authority, authority.issue_cert(LOOPBACK))
        setup.mended()
        setup.until_resolved(EXPIRING)
        setup.settle()
    finally:
        cluster.remove()


def _in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def postgres_target(port: int, host: str = "127.0.0.1") -> dict[str, object]:
    connection = {"host": host, "port": port, "user": "dbt", "dbname": "analytics", "schema": "marts"}
    return {"plugin": "postgres", "connection": connection, "credentials": {"password": {"env": _PASSWORD}}}


def file_spoilt(setup: ScenarioSetup) -> None:
    lake = setup.database()
    setup.watch({"lake": lake.target})
    setup.fault()
    lake.spoil()
    setup.until_paged()
    setup.sleep(60)
    lake.restore()
    setup.mended()
    setup.until_resolved()
    setup.settle()


def half_fails(setup: ScenarioSetup) -> None:
    """Every other probe, from one to the next; the target's threshold of two hides it from its status."""
    lake = setup.database()
    target = {**lake.target, "probe": {"failure_threshold": 2}}
    [monitor] = setup.watch({"lake": target})
    over = threading.Event()

    def alternate() -> None:
        last, there = monitor.last_probe("lake"), True
        while not over.wait(0.05):
            now = monitor.last_probe("lake")
            if now and now != last:
                (lake.remove if there else lake.restore)()
                last, there = now, not there

    thread = threading.Thread(target=alternate, name="alternate")
    setup.fault()
    thread.start()
    try:
        setup.until_paged(BURNING)
        setup.sleep(180)
    finally:
        over.set()
        thread.join()


# ---------------------------------------------------------------- the configuration


def removed(setup: ScenarioSetup) -> None:
    lake, other = setup.database(), setup.database("other")
    monitors = setup.watch({"lake": lake.target, "other": other.target}, 2)
    setup.fault()
    lake.remove()
    setup.until_paged()
    for monitor in monitors:
        monitor.configure({"other": other.target})
    setup.mended()
    setup.until_resolved()
    setup.settle()


def renamed(setup: ScenarioSetup) -> None:
    lake = setup.database()
    [monitor] = setup.watch({"lake": lake.target})
    setup.fault()
    lake.remove()
    setup.until_paged()
    setup.mended()
    monitor.configure({"shore": lake.target})
    setup.wait_for(
        lambda: (
            {each.labels.get("target"): each.firing for each in setup.notified()}
            == {"lake": False, "shore": True}
        ),
        "the old name is resolved, the new one paged",
    )
    lake.restore()
    setup.mended()
    setup.until_resolved()
    setup.settle()
