"""The job for `kubectl wait` of deploy/orchestrators, in a pod here."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import yaml

from conformance.pod.fields import JobSpec, read
from conformance.pod.kubelet import Node
from conformance.pod.workloads import Job
from deploy.chart import CHART, DEPLOY
from tests.deploy.charts import need_helm, render
from tests.deploy.pod.pods import configuration, objects

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.pod.container import Image

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

GATE = yaml.safe_load((DEPLOY / "orchestrators" / "gate-job.yaml").read_text())
LONG = 600.0


@pytest.mark.parametrize("usable", [True, False])
async def test_it_is_complete_once_the_target_can_be_used(
    duckdb: dict[str, Image], tmp_path: Path, usable: bool
) -> None:
    need_helm()
    path = ":memory:" if usable else "/var/lib/floe-monitor/none.duckdb"
    connection = {"path": path, **({} if usable else {"must_exist": True})}
    values = {"config": configuration("duckdb", connection=connection)}
    manifests = render(CHART, values, release="floe-monitor")
    job = copy.deepcopy(GATE)
    if not usable:
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        arguments[-1] = "2s"
    node = Node(duckdb, objects(manifests))
    async with Job("gate", read(JobSpec, job["spec"]), node, tmp_path) as running:
        condition = await running.finish(LONG)
        [pod] = running.pods
        log = pod.log("wait")
    assert condition.startswith("Complete" if usable else "Failed"), running.report()
    assert ("up after" in log) if usable else ("none.duckdb does not exist" in log)
