"""The manifests for kubectl alone: they render, validate, run confined, and say what the code expects."""

from __future__ import annotations

import shutil
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from deploy.chart import KUBERNETES
from floe_monitor.settings.durations import parse_duration
from floe_monitor.settings.models import Settings
from tests.deploy.chart_variants import Manifest
from tests.deploy.charts import (
    containers,
    kind,
    kustomized,
    monitor,
    monitor_pod,
    pods,
)
from tests.deploy.manifest_rules import beyond_restricted

WHOLE = ["daemonset", "deployment", "sidecar", "overlays/daemonset-operator", "overlays/sidecar-operator"]
JOBS = ["sidecar", "overlays/sidecar-operator"]


@pytest.fixture(scope="module")
def rendered(starts_processes: None) -> dict[str, list[Manifest]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    return {name: kustomized(KUBERNETES / name) for name in WHOLE}


def settings_of(manifests: list[Manifest]) -> Settings:
    (text,) = kind(manifests, "ConfigMap")["data"].values()
    return Settings.model_validate(yaml.safe_load(text))


def test_kubernetes_accepts_them_and_the_restricted_standard_too(rendered: dict[str, list[Manifest]]) -> None:
    for manifests in rendered.values():
        for each in manifests:
            if each["apiVersion"] != "monitoring.coreos.com/v1":
                kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        for pod in pods(manifests):
            assert not beyond_restricted(pod)
            for container in containers(pod):
                assert container["image"].partition(":")[2] not in {"", "latest"}


def test_they_are_of_no_release_and_no_namespace(rendered: dict[str, list[Manifest]]) -> None:
    for name, manifests in rendered.items():
        for each in manifests:
            assert "helm" not in str(each["metadata"]).lower()
            wanted = {"overlays/daemonset-operator": "floe-monitor", "overlays/sidecar-operator": "dbt"}
            assert each["metadata"].get("namespace") == wanted.get(name)


@pytest.mark.parametrize("overlay", WHOLE)
def test_probes_ask_the_health_routes_on_the_configured_port(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    settings, container = settings_of(rendered[overlay]), monitor(rendered[overlay])
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - a pod's address is not known beforehand
    (port,) = container["ports"]
    assert port["containerPort"] == settings.http.port == Settings().http.port
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    # The first round must fit in what the start may take.
    start = container["startupProbe"]
    assert start["failureThreshold"] * start["periodSeconds"] > 2 * settings.probe.timeout


@pytest.mark.parametrize("overlay", WHOLE)
def test_the_pod_outlives_an_orderly_stop(rendered: dict[str, list[Manifest]], overlay: str) -> None:
    grace = monitor_pod(rendered[overlay])["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings_of(rendered[overlay]).shutdown_grace + 5


@pytest.mark.parametrize("overlay", WHOLE)
def test_the_configuration_is_mounted_where_the_arguments_say(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    pod = monitor_pod(rendered[overlay])
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    configmap = kind(rendered[overlay], "ConfigMap")
    ours = [each for each in containers(pod) if each["image"].startswith("floe-monitor:")]
    assert ours
    for container in ours:
        path = Path(container["args"][container["args"].index("--config") + 1])
        mount = next(m for m in container["volumeMounts"] if m["mountPath"] == str(path.parent))
        assert volumes[mount["name"]]["configMap"]["name"] == configmap["metadata"]["name"]
        assert mount["readOnly"] is True
        assert path.name in configmap["data"]


@pytest.mark.parametrize("overlay", WHOLE)
def test_every_reference_in_the_configuration_is_provided(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    (text,) = kind(rendered[overlay], "ConfigMap")["data"].values()
    named = {part.split("'")[1] for part in text.split("env_var(")[1:]}
    settings = settings_of(rendered[overlay])
    references = [each for target in settings.targets.values() for each in target.credentials.values()]
    named |= {each.env for each in references if each.env}
    assert named, "an example without a credential shows nothing"
    mounts = [mount["mountPath"] for mount in monitor(rendered[overlay])["volumeMounts"]]
    for container in containers(monitor_pod(rendered[overlay])):  # dbt needs what the monitor needs
        assert named <= {each["name"] for each in container["env"]}, container["name"]
        assert set(mounts) - {mount["mountPath"] for mount in container["volumeMounts"]} <= {
            "/etc/floe-monitor",
            "/var/lib/floe-monitor",
        }
    files = [each.file for each in (*references, *settings.otlp.headers.values()) if each.file]
    assert all(str(Path(file).parent) in mounts for file in files)


@pytest.mark.parametrize("overlay", JOBS)
def test_dbt_starts_behind_the_gate_with_the_written_profile(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    manifests = rendered[overlay]
    pod = monitor_pod(manifests)
    spec = pod["spec"]
    sidecar, gate = spec["initContainers"]
    (dbt,) = spec["containers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["args"][0] == "run"
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/readyz"
    settings = settings_of(manifests)
    command, *rest = gate["args"]
    assert command == "wait"
    assert rest[0] in settings.targets
    assert parse_duration(rest[rest.index("--timeout") + 1]) > 0

    (profile,) = settings.profiles
    shared = str(Path(profile.path).parent)
    assert {"name": "DBT_PROFILES_DIR", "value": shared} in dbt["env"]
    volume = {each["name"]: each for each in spec["volumes"]}
    (written,) = [m for m in sidecar["volumeMounts"] if m["mountPath"] == shared]
    (read,) = [m for m in dbt["volumeMounts"] if m["mountPath"] == shared]
    assert written["name"] == read["name"]
    assert "emptyDir" in volume[written["name"]]
    assert read["readOnly"] is True
    assert not written.get("readOnly")
    # A new profiles.yml has mode 0600: whoever reads it is its owner.
    assert all("runAsUser" not in each["securityContext"] for each in containers(pod))


@pytest.mark.parametrize(
    ("overlay", "monitor_kind", "endpoints"),
    [
        ("overlays/daemonset-operator", "ServiceMonitor", "endpoints"),
        ("overlays/sidecar-operator", "PodMonitor", "podMetricsEndpoints"),
    ],
)
def test_scrapers_and_policies_select_the_pods(
    rendered: dict[str, list[Manifest]], overlay: str, monitor_kind: str, endpoints: str
) -> None:
    manifests = rendered[overlay]
    labels = monitor_pod(manifests)["metadata"]["labels"]
    scraper = kind(manifests, monitor_kind)
    selected = scraper["spec"]["selector"]["matchLabels"]
    if monitor_kind == "ServiceMonitor":
        service = kind(manifests, "Service")
        assert selected.items() <= service["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= labels.items()
        ports = {port["name"] for port in service["spec"]["ports"]}
    else:
        assert selected.items() <= labels.items()
        ports = {port["name"] for port in monitor(manifests)["ports"]}
    (endpoint,) = scraper["spec"][endpoints]
    assert endpoint["port"] in ports
    assert endpoint["path"] == "/metrics"
    assert endpoint["honorLabels"] is True
    policy = kind(manifests, "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_every_kustomization_is_part_of_what_is_tested() -> None:
    reached: set[Path] = set()

    def follow(directory: Path) -> None:
        reached.add(directory)
        content = yaml.safe_load((directory / "kustomization.yaml").read_text())
        for entry in (*content.get("resources", ()), *content.get("components", ())):
            path = (directory / entry).resolve()
            if path.is_dir():
                follow(path)

    for overlay in WHOLE:
        follow(KUBERNETES / overlay)
    assert reached == {path.parent for path in KUBERNETES.rglob("kustomization.yaml")}
