"""dbt's job with the monitor as its sidecar, from the chart, in a pod here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml

from conformance import postgres_servers
from conformance.pod.kubelet import Node, Pod
from conformance.pod.workloads import Job, cron_job
from tests.deploy.charts import render
from tests.deploy.pod.pods import DBT, MONITOR, configuration, objects, secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.pod.container import Image
    from tests.deploy.chart_variants import Manifest

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

WAIT = f"{MONITOR}-wait"
LONG = 600.0
"""Seconds until something is taken not to happen."""
WAREHOUSE = ("db.data.svc", 5432)
RIGHT = postgres_servers.PASSWORD


def postgres_values(**sidecar: str) -> Manifest:
    where = {"host": WAREHOUSE[0], "dbname": "analytics", "user": "dbt", "schema": "marts"}
    password = {"file": "/var/run/secrets/warehouse/password", "env": "WAREHOUSE_PASSWORD"}
    config = configuration("postgres", connection=where, credentials={"password": password})
    return {
        MONITOR: {
            "image": {"engines": "postgres"},
            "config": config,
            "secrets": [{"name": "warehouse", "env": {"WAREHOUSE_PASSWORD": "password"}}],
            "sidecar": {"waitFor": ["warehouse"], **sidecar},
        }
    }


def in_order(events: list[str], *wanted: str) -> bool:
    left = iter(events)
    return all(each in left for each in wanted)


COMPLETE = (
    f"{MONITOR} started",
    f"{MONITOR} passed start-up",
    f"{WAIT} started",
    f"{WAIT} exited 0",
    "dbt started",
    "dbt exited 0",
    f"{MONITOR} sent SIGTERM",
    f"{MONITOR} exited 0",
)


async def test_it_builds_a_duckdb_project_with_the_sidecars_profile(
    job_chart: Path,
    duckdb: dict[str, Image],
    with_dbt: Callable[[str], dict[str, Image]],
    tmp_path: Path,
) -> None:
    config = configuration("duckdb", connection={"path": ":memory:"})
    values = {MONITOR: {"config": config, "sidecar": {"waitFor": ["warehouse"]}}}
    manifests = render(job_chart, values)
    node = Node({**duckdb, **with_dbt("dbt-duckdb.txt")}, objects(manifests))
    async with Job("dbt", cron_job(manifests), node, tmp_path) as job:
        assert await job.finish(LONG) == "Complete", job.report()
    [pod] = job.pods
    assert in_order(pod.events, *COMPLETE), pod.events
    assert "PASS=5" in pod.log("dbt"), pod.log("dbt")
    assert "Traceback" not in pod.log(MONITOR)


async def test_a_rotated_secret_frees_a_job_on_postgres(
    job_chart: Path,
    postgres: dict[str, Image],
    with_dbt: Callable[[str], dict[str, Image]],
    server: postgres_servers.Cluster,
    tmp_path: Path,
) -> None:
    """Held back by a wrong password, which `wait` says; with the right one it goes on, dbt's variable too."""
    manifests = render(job_chart, postgres_values(waitTimeout="10m"))
    known = objects(manifests, secret("warehouse", password="wrong"))
    node = Node({**postgres, **with_dbt("dbt-postgres.txt")}, known, {WAREHOUSE: ("127.0.0.1", server.port)})
    async with Job("dbt", cron_job(manifests), node, tmp_path) as job:
        pod = await job.pod()
        await pod.until(lambda: "warehouse: unhealthy" in pod.log(WAIT), LONG)
        assert "authentication" in pod.log(WAIT)
        outputs = yaml.safe_load((pod.volume("floe-monitor-data") / "profiles.yml").read_text())["shop"]
        assert outputs["outputs"]["warehouse"]["password"] == "{{ env_var('WAREHOUSE_PASSWORD') }}"
        assert "dbt started" not in pod.events

        known.apply(secret("warehouse", password=RIGHT))
        assert await job.finish(LONG) == "Complete", job.report()
    assert job.pods == [pod]
    assert in_order(pod.events, *COMPLETE), pod.events
    assert "PASS=5" in pod.log("dbt"), pod.log("dbt")
    assert "target warehouse is healthy" in pod.log(MONITOR)
    where = f"host={server.directory} port={server.port} user=postgres dbname=analytics"
    with psycopg.connect(where) as connection:
        assert connection.execute("SELECT amount FROM marts.revenue").fetchall() == [(42,)]
    assert RIGHT not in pod.log(MONITOR) + pod.log(WAIT) + pod.log("dbt")


async def test_a_broken_target_fails_the_pod_and_says_why(
    job_chart: Path,
    postgres: dict[str, Image],
    with_dbt: Callable[[str], dict[str, Image]],
    tmp_path: Path,
) -> None:
    manifests = render(job_chart, postgres_values(waitTimeout="15s"))
    images = {**postgres, **with_dbt("dbt-postgres.txt")}
    known = objects(manifests, secret("warehouse", password=RIGHT))
    template = cron_job(manifests).template
    async with Pod("dbt-broken", template, Node(images, known), tmp_path) as pod:
        await pod.until(lambda: pod.ended, LONG)
    assert pod.phase == "Failed"
    assert pod.containers[WAIT].last_exit == 1
    assert "warehouse: unhealthy" in pod.log(WAIT)
    assert WAREHOUSE[0] in pod.log(WAIT)
    assert "not up after" in pod.log(WAIT)
    assert f"{MONITOR} exited 0" in pod.events
    assert not any(each.startswith(DBT.partition(":")[0] + " ") for each in pod.events)
