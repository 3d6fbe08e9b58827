"""The manifests: they render, validate, run confined, and say what the code expects to hear."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe_monitor.settings.durations import parse_duration
from floe_monitor.settings.models import Settings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
WHOLE = ["daemonset", "sidecar", "overlays/daemonset-operator", "overlays/sidecar-operator"]

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def rendered(starts_processes: None) -> dict[str, list[Manifest]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    manifests = {}
    for overlay in WHOLE:
        done = subprocess.run(
            ["kubectl", "kustomize", str(KUBERNETES / overlay)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "deprecated" not in done.stderr
        manifests[overlay] = list(yaml.safe_load_all(done.stdout))
    return manifests


def kind(manifests: list[Manifest], name: str) -> Manifest:
    return next(each for each in manifests if each["kind"] == name)


def pod_template(manifests: list[Manifest]) -> Manifest:
    """The pod, `metadata` and `spec`, of whatever workload there is."""
    workload = next(each for each in manifests if each["kind"] in {"DaemonSet", "CronJob"})
    spec: Manifest = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template: Manifest = spec["template"]
    return template


def containers(manifests: list[Manifest]) -> list[Manifest]:
    spec = pod_template(manifests)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def monitor(manifests: list[Manifest]) -> Manifest:
    return next(each for each in containers(manifests) if each["name"] == "floe-monitor")


def ours(manifests: list[Manifest]) -> list[Manifest]:
    return [each for each in containers(manifests) if each["image"].startswith("floe-monitor:")]


def settings_of(manifests: list[Manifest]) -> Settings:
    (text,) = kind(manifests, "ConfigMap")["data"].values()
    return Settings.model_validate(yaml.safe_load(text))


@pytest.mark.process
@pytest.mark.parametrize("overlay", WHOLE)
def test_strict_validation_passes(rendered: dict[str, list[Manifest]], overlay: str, tmp_path: Path) -> None:
    path = tmp_path / "rendered.yaml"
    path.write_text(yaml.safe_dump_all(rendered[overlay]))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("kubernetes-validate")), "--strict", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    unknown = {line for line in output.splitlines() if "Couldn't find schema" in line}
    assert all("monitoring.coreos.com" in line for line in unknown), output
    assert done.returncode == 0 or unknown, output
    assert "ERROR" not in output
    assert output.count("passed for resource") == len(rendered[overlay]) - len(unknown)


@pytest.mark.process
def test_strict_validation_sees_a_misspelt_key(rendered: dict[str, list[Manifest]], tmp_path: Path) -> None:
    manifests = yaml.safe_load(yaml.safe_dump(rendered["daemonset"]))
    monitor(manifests)["readinesProbe"] = {}
    path = tmp_path / "rendered.yaml"
    path.write_text(yaml.safe_dump_all(manifests))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("kubernetes-validate")), "--strict", str(path)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0


@pytest.mark.parametrize("overlay", WHOLE)
def test_every_container_is_confined(rendered: dict[str, list[Manifest]], overlay: str) -> None:
    spec = pod_template(rendered[overlay])["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert (
        spec["enableServiceLinks"] is False
    )  # FLOE_MONITOR_PORT and its like would be read as configuration
    for each in containers(rendered[overlay]):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory", "ephemeral-storage"} == each["resources"]["requests"].keys()
        assert {"cpu", "memory", "ephemeral-storage"} == each["resources"]["limits"].keys()
        assert any(mount["mountPath"] == "/tmp" for mount in each["volumeMounts"])
        assert not any("subPath" in mount for mount in each["volumeMounts"])
        tag = each["image"].partition(":")[2]
        assert tag not in {"", "latest"}


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
    assert container["startupProbe"]["httpGet"]["path"] in {"/healthz", "/readyz"}
    # The first round must fit in what the start may take.
    start = container["startupProbe"]
    assert start["failureThreshold"] * start["periodSeconds"] > 2 * settings.probe.timeout


@pytest.mark.parametrize("overlay", WHOLE)
def test_the_pod_outlives_an_orderly_stop(rendered: dict[str, list[Manifest]], overlay: str) -> None:
    grace = pod_template(rendered[overlay])["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings_of(rendered[overlay]).shutdown_grace + 5


@pytest.mark.parametrize("overlay", WHOLE)
def test_the_configuration_is_mounted_where_the_arguments_say(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    volumes = {each["name"]: each for each in pod_template(rendered[overlay])["spec"]["volumes"]}
    configmap = kind(rendered[overlay], "ConfigMap")
    for container in ours(rendered[overlay]):
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
    for target in settings.targets.values():
        named |= {reference.env for reference in target.credentials.values() if reference.env}
    assert named, "an example without a credential shows nothing"
    for container in containers(rendered[overlay]):  # dbt needs what the monitor needs
        assert named <= {each["name"] for each in container["env"]}, container["name"]
    mounts = [mount["mountPath"] for mount in monitor(rendered[overlay])["volumeMounts"]]
    files = [reference.file for reference in settings.otlp.headers.values() if reference.file]
    assert all(str(Path(file).parent) in mounts for file in files)


@pytest.mark.parametrize("overlay", ["sidecar", "overlays/sidecar-operator"])
def test_dbt_starts_behind_the_gate_with_the_written_profile(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    manifests = rendered[overlay]
    spec = pod_template(manifests)["spec"]
    sidecar, gate = spec["initContainers"]
    (dbt,) = spec["containers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["args"][0] == "run"
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
    assert all("runAsUser" not in each["securityContext"] for each in containers(manifests))


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
    pod = pod_template(manifests)
    labels = pod["metadata"]["labels"]
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
    policy = kind(manifests, "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert {each["metadata"]["namespace"] for each in manifests} == {
        "floe-monitor" if "daemonset" in overlay else "dbt"
    }


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
