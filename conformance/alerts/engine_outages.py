"""What happens to engines, and to the configuration of targets that are ill."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from conformance import postgres_servers
from conformance.alerts.stage import BURNING, EXPIRING
from conformance.loopback_server import LOOPBACK

if TYPE_CHECKING:
    from conformance.alerts.stage import Stage

_PASSWORD = "REPLAY_PASSWORD"  # noqa: S105 - a variable's name
ENVIRONMENT = {_PASSWORD: postgres_servers.PASSWORD}


def server_stopped(stage: Stage) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    try:
        stage.watch({"warehouse": postgres_target(cluster.port)}, 2, ENVIRONMENT)
        stage.fault()
        cluster.tool("pg_ctl", "-w", "-m", "immediate", "stop")
        stage.until_paged()
        stage.sleep(60)
        cluster.start()
        stage.mended()
        stage.until_resolved()
        stage.settle()
    finally:
        cluster.remove()


def password_expired(stage: Stage) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    try:
        stage.watch({"warehouse": postgres_target(cluster.port)}, 1, ENVIRONMENT)
        cluster.execute(f"ALTER ROLE dbt VALID UNTIL '{_in_days(1).isoformat()}'")
        stage.until_paged(EXPIRING)
        stage.fault()
        cluster.execute("ALTER ROLE dbt VALID UNTIL '2001-01-01'")
        stage.until_paged()
        [page] = [each for each in stage.notified() if each.firing and each.labels["severity"] == "page"]
        if "authentication" not in page.annotations["summary"]:
            raise AssertionError(f"the page does not say why: {page.annotations['summary']}")
        stage.sleep(60)
        cluster.execute("ALTER ROLE dbt VALID UNTIL 'infinity'")
        stage.mended()
        stage.until_resolved()
        stage.until_resolved(EXPIRING)
        stage.settle()
    finally:
        cluster.remove()


def certificate_near_its_end(stage: Stage) -> None:
    import trustme  # noqa: PLC0415 - only where it is used

    authority = trustme.CA()
    cluster = postgres_servers.launch(
        postgres_servers.system(), postgres_servers.server_files(authority, authority.issue_cert(LOOPBACK))
    )
    try:
        stage.watch({"warehouse": postgres_target(cluster.port)}, 1, ENVIRONMENT)
        stage.fault()
        cluster.certify(authority, authority.issue_cert(LOOPBACK, not_after=_in_days(3)))
        stage.until_paged(EXPIRING)
        stage.sleep(60)
        cluster.certify(authority, authority.issue_cert(LOOPBACK))
        stage.mended()
        stage.until_resolved(EXPIRING)
        stage.settle()
    finally:
        cluster.remove()


def _in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def postgres_target(port: int, host: str = "127.0.0.1") -> dict[str, object]:
    connection = {"host": host, "port": port, "user": "dbt", "dbname": "analytics", "schema": "marts"}
    return {"plugin": "postgres", "connection": connection, "credentials": {"password": {"env": _PASSWORD}}}


def file_spoilt(stage: Stage) -> None:
    lake = stage.database()
    stage.watch({"lake": lake.target})
    stage.fault()
    lake.spoil()
    stage.until_paged()
    stage.sleep(60)
    lake.restore()
    stage.mended()
    stage.until_resolved()
    stage.settle()


def half_fails(stage: Stage) -> None:
    """Every other probe, from one to the next; the target's threshold of two hides it from its status."""
    lake = stage.database()
    target = {**lake.target, "probe": {"failure_threshold": 2}}
    [monitor] = stage.watch({"lake": target})
    over = threading.Event()

    def alternate() -> None:
        last, there = monitor.last_probe("lake"), True
        while not over.wait(0.05):
            now = monitor.last_probe("lake")
            if now and now != last:
                (lake.remove if there else lake.restore)()
                last, there = now, not there

    thread = threading.Thread(target=alternate, name="alternate")
    stage.fault()
    thread.start()
    try:
        stage.until_paged(BURNING)
        stage.sleep(180)
    finally:
        over.set()
        thread.join()


# ---------------------------------------------------------------- the configuration


def removed(stage: Stage) -> None:
    lake, other = stage.database(), stage.database("other")
    monitors = stage.watch({"lake": lake.target, "other": other.target}, 2)
    stage.fault()
    lake.remove()
    stage.until_paged()
    for monitor in monitors:
        monitor.configure({"other": other.target})
    stage.mended()
    stage.until_resolved()
    stage.settle()


def renamed(stage: Stage) -> None:
    lake = stage.database()
    [monitor] = stage.watch({"lake": lake.target})
    stage.fault()
    lake.remove()
    stage.until_paged()
    stage.mended()
    monitor.configure({"shore": lake.target})
    stage.wait_for(
        lambda: (
            {each.labels.get("target"): each.firing for each in stage.notified()}
            == {"lake": False, "shore": True}
        ),
        "the old name is resolved, the new one paged",
    )
    lake.restore()
    stage.mended()
    stage.until_resolved()
    stage.settle()
