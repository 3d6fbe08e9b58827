"""The chart's Deployment in a pod here: users, rights, a changed ConfigMap, a stall, and its end."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import trustme
import yaml

from conformance.pod.kubelet import Node, Pod
from conformance.pod.workloads import deployment
from deploy.chart import CHART
from floe_monitor.credentials.hashing import PasswordHash, new_token, token_hash
from tests.deploy.charts import OPENSHIFT, kind, need_helm, render
from tests.deploy.pod.pods import MONITOR, RANDOM, admitted, configuration, objects, secret

if TYPE_CHECKING:
    from conformance.pod.container import Image
    from tests.deploy.chart_variants import Manifest

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

LONG = 600.0
_ASK = (
    "import sys, urllib.request as u; print(u.urlopen('http://127.0.0.1:9464' + sys.argv[1]).read().decode())"
)
_ASK_WITH_TLS = """
import ssl, sys, urllib.error, urllib.request
route, *header = sys.argv[1:]
request = urllib.request.Request("https://127.0.0.1:9464" + route, headers=dict([header] if header else []))
context = ssl.create_default_context(cafile="/var/run/secrets/floe-monitor-tls/ca.crt")
try:
    print(urllib.request.urlopen(request, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def values(*targets: str, **further: Any) -> Manifest:
    config = configuration("duckdb", connection={"path": ":memory:"})
    config["targets"] |= dict.fromkeys(targets, config["targets"]["warehouse"])
    return {"config": config, "startupProbe": {"failureThreshold": 600}, **further}


async def asked(pod: Pod, route: str) -> Any:
    status, text = await pod.execute(MONITOR, "python3", "-c", _ASK, route)
    assert status == 0, text
    return json.loads(text)


def of_status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def with_included_targets(*targets: str) -> Manifest:
    """Those values, and what the example for many targets adds to them."""
    example = yaml.safe_load((CHART / "ci" / "many-targets-values.yaml").read_text())
    mounts = {key: example[key] for key in ("extraVolumes", "extraVolumeMounts")}
    given = values(*targets, **mounts)
    given["config"] |= example["config"]
    return given


def included(name: str, *targets: str) -> Manifest:
    """A ConfigMap of targets alone."""
    target = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
    text = yaml.safe_dump({"targets": dict.fromkeys(targets, target)})
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"targets.yaml": text}}


async def test_it_follows_its_config_maps_and_ends_within_its_grace(
    duckdb: dict[str, Image], tmp_path: Path
) -> None:
    """As the user of the image."""
    need_helm()
    manifests = render(CHART, with_included_targets())
    known = objects(manifests, included("targets-a", "a1"), included("targets-b", "b1", "b2"))
    node = Node(duckdb, known)
    async with Pod("floe-1", deployment(manifests), node, tmp_path) as pod:
        await pod.until(lambda: pod.ready, LONG)
        status = of_status(pod.process_1(MONITOR))
        assert status["Uid"].split()[0] == status["Gid"].split()[0] == "10001"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        status_code, said = await pod.execute(MONITOR, "touch", "/opt/floe-monitor/x")
        assert status_code != 0
        assert "Read-only file system" in said
        profiles = pod.volume("floe-monitor-data") / "profiles.yml"

        def outputs() -> set[str]:
            return set(yaml.safe_load(profiles.read_text())["shop"]["outputs"])

        async def watched() -> set[str]:
            return {each["name"] for each in (await asked(pod, "/api/v1/targets"))["targets"]}

        assert outputs() == await watched() == {"warehouse", "a1", "b1", "b2"}
        known.apply(included("targets-a", "a1", "a2"))
        known.apply(kind(render(CHART, with_included_targets("lake")), "ConfigMap"))
        await pod.until(lambda: {"lake", "a2"} <= outputs(), LONG)
        assert await watched() == {"warehouse", "lake", "a1", "a2", "b1", "b2"}
        await pod.delete()
    assert pod.events[-1] == f"{MONITOR} exited 0", pod.events
    assert pod.containers[MONITOR].restarts == 0
    assert "Traceback" not in pod.log(MONITOR)


async def test_a_stalled_one_is_restarted_and_finds_its_profile_again(
    duckdb: dict[str, Image], tmp_path: Path
) -> None:
    """As a random user in group 0, with an fsGroup; the probe of readiness by a command."""
    need_helm()
    probes = {
        "livenessProbe": {"periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 2},
        "readinessProbe": {"httpGet": None, "exec": {"command": [MONITOR, "healthcheck", "--ready"]}},
    }
    manifests = render(CHART, values(**probes, terminationGracePeriodSeconds=1), *OPENSHIFT)
    manifests = [admitted(each) if each["kind"] == "Deployment" else each for each in manifests]
    node = Node(duckdb, objects(manifests))
    async with Pod("floe-2", deployment(manifests), node, tmp_path) as pod:
        await pod.until(lambda: pod.ready, LONG)
        first = pod.process_1(MONITOR)
        status = of_status(first)
        assert status["Uid"].split()[0] == str(RANDOM)
        assert status["Gid"].split()[0] == "0"
        assert set(status["Groups"].split()) == {"0", str(RANDOM)}
        profiles = pod.volume("floe-monitor-data") / "profiles.yml"
        assert profiles.stat().st_uid == profiles.stat().st_gid == RANDOM
        written = profiles.stat().st_ino

        for each in [*psutil.Process(first).children(recursive=True)]:
            os.kill(each.pid, signal.SIGSTOP)
        await pod.until(lambda: pod.containers[MONITOR].restarts >= 1, LONG)
        await pod.until(lambda: pod.ready, LONG)
        assert pod.process_1(MONITOR) != first
        assert profiles.stat().st_ino == written, "a profile that is right is not written again"
    assert any(each.startswith(f"{MONITOR} failed liveness: no answer") for each in pod.events), pod.events
    assert f"{MONITOR} sent SIGKILL" in pod.events
    assert f"{MONITOR} exited 137" in pod.events


async def test_certificate_token_and_user_come_from_secrets_and_health_apart(
    duckdb: dict[str, Image], tmp_path: Path
) -> None:
    """The chart's own example of them; the kubelet asks without TLS, at the port of health."""
    need_helm()
    given = yaml.safe_load((CHART / "ci" / "secured-values.yaml").read_text())
    token, password = new_token(), "correct horse"
    given["config"]["http"]["tokens"]["prometheus"]["hash"] = token_hash(token)
    manifests = render(CHART, {**given, "startupProbe": {"failureThreshold": 600}})
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    pair = {
        "tls.crt": certificate.cert_chain_pems[0].bytes().decode(),
        "tls.key": certificate.private_key_pem.bytes().decode(),
        "ca.crt": authority.cert_pem.bytes().decode(),
    }
    users = {"operator": str(PasswordHash.of(password))}
    secrets = [secret("floe-monitor-tls", **pair), secret("floe-monitor-users", **users)]
    node = Node(duckdb, objects(manifests, *secrets))
    basic = base64.b64encode(f"operator:{password}".encode()).decode()
    async with Pod("floe-3", deployment(manifests), node, tmp_path) as pod:
        await pod.until(lambda: pod.ready, LONG)
        for route, header, status in (
            ("/metrics", (), 401),
            ("/metrics", ("Authorization", f"Bearer {token}"), 200),
            ("/api/v1/targets", ("Authorization", f"Bearer {token}"), 403),
            ("/api/v1/targets", ("Authorization", f"Basic {basic}"), 200),
            ("/readyz", (), 200),
        ):
            code, said = await pod.execute(MONITOR, "python3", "-c", _ASK_WITH_TLS, route, *header)
            assert (code, said.strip()) == (0, str(status)), route
        assert (await pod.execute(MONITOR, MONITOR, "healthcheck"))[0] == 0
        await pod.delete()
    assert not any(each in pod.log(MONITOR) for each in (token, password, basic))
