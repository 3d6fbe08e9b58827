"""What of a manifest is simulated, and that nothing else is passed over."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.pod.fields import PodTemplate, UnsupportedFieldError, read
from conformance.pod.workloads import cron_job, deployment

KUBERNETES = Path(__file__).parents[3] / "deploy" / "kubernetes"
CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": "own:1",
    "ports": [{"name": "http", "containerPort": 8080}],
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
}
TEMPLATE: dict[str, Any] = {
    "metadata": {},
    "spec": {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True},
        "containers": [CONTAINER],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


def manifests(directory: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / directory / "manifests.yaml").read_text()))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The template with one more field, or another value of one, below its `spec`."""
    template = copy.deepcopy(TEMPLATE)
    node: Any = template["spec"]
    *parents, last = path.split(".")
    for each in parents:
        node = node[int(each)] if each.isdigit() else node[each]
    node[last] = value
    return template


def test_the_charts_own_pods_are_simulated_whole() -> None:
    sidecar = cron_job(manifests("sidecar")).template.spec
    assert [each.name for each in sidecar.init_containers] == ["floe-monitor", "floe-monitor-wait"]
    assert sidecar.init_containers[0].restart_policy == "Always"
    assert deployment(manifests("deployment")).spec.containers[0].port("http") == 9464
    assert read(PodTemplate, TEMPLATE).spec.restart_policy == "Always"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("hostNetwork", True, "spec.hostNetwork: not simulated here"),
        ("containers.0.lifecycle", {}, "spec.containers[0].lifecycle: not simulated here"),
        ("containers.0.tty", True, "spec.containers[0].tty: not simulated here"),
        (
            "containers.0.volumeMounts",
            [{"name": "data", "mountPath": "/data", "subPath": "x"}],
            "spec.containers[0].volumeMounts[0].subPath: not simulated here",
        ),
        ("volumes", [{"name": "data", "hostPath": {"path": "/"}}], "spec.volumes[0].hostPath: not simulated"),
        ("volumes", [], "main mounts what is no volume: data"),
        ("volumes", [{"name": "data"}], "exactly one of configMap, secret, emptyDir is needed"),
        ("enableServiceLinks", True, "spec.enableServiceLinks: Input should be False"),
        ("securityContext", {}, "spec.securityContext.runAsNonRoot: needed here, where only restricted pods"),
        ("containers.0.securityContext.runAsUser", 0, "spec.containers[0].securityContext.runAsUser: "),
        (
            "containers.0.securityContext.capabilities",
            {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "add: not sim",
        ),
        ("containers.0.startupProbe", {"grpc": {"port": 1}}, "startupProbe.grpc: not simulated"),
        ("containers.0.startupProbe", {"periodSeconds": 1}, "exactly one of httpGet, exec is needed"),
        (
            "containers.0.startupProbe",
            {"httpGet": {"port": "https"}},
            "the port 'https', which",
        ),
        ("containers.0.restartPolicy", "Always", "restartPolicy of a container is for init containers alone"),
        ("containers.0.image", 1, "spec.containers[0].image: Input should be a valid string"),
    ],
)
def test_another_field_is_refused_with_its_place(path: str, value: Any, told: str) -> None:
    with pytest.raises(UnsupportedFieldError) as refused:
        read(PodTemplate, changed(path, value))
    assert told in str(refused.value)


def test_fields_of_a_workload_are_held_to_the_same() -> None:
    job = next(each for each in manifests("sidecar") if each["kind"] == "CronJob")
    job["spec"]["jobTemplate"]["spec"]["completions"] = 2
    with pytest.raises(UnsupportedFieldError, match=r"jobTemplate\.spec\.completions: not simulated here"):
        cron_job([job])
