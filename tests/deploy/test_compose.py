"""compose.yaml: valid by the specification's schema, and what it mounts and names is there. It is not run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance import environments
from floe_monitor.settings import load

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
FILE = COMPOSE / "compose.yaml"
SHIPPED = COMPOSE.parent / "prometheus"


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


SERVICES: dict[str, Any] = document(FILE)["services"]


def schema_says(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if reason := environments.unwanted("release.txt"):
        pytest.skip(reason)
    path = folder / "compose.yaml"
    path.write_text(text)
    program = environments.built("release.txt") / "bin" / "check-jsonschema"
    return subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.process
def test_the_specifications_schema_takes_it(tmp_path: Path) -> None:
    done = schema_says(FILE.read_text(), tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.gate
@pytest.mark.process
def test_the_schema_sees_a_misspelt_key(tmp_path: Path) -> None:
    done = schema_says(FILE.read_text().replace("read_only:", "readonly:"), tmp_path)
    assert done.returncode == 1
    assert "readonly" in done.stdout


def test_every_file_mounted_is_there_and_every_volume_declared() -> None:
    declared = document(FILE)["volumes"]
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service["volumes"]]
    assert len(mounts) > 8
    for source in mounts:
        assert (COMPOSE / source).exists() if source.startswith(".") else source in declared, source


def test_nothing_is_reached_from_elsewhere_and_nothing_is_privileged() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert service["cap_drop"] == ["ALL"]
        assert re.search(r":[^:/]*\d", service["image"]), f"{name}: a version, not the latest"


def test_prometheus_has_the_shipped_configuration_at_the_services_addresses() -> None:
    text = (COMPOSE / "prometheus.yaml").read_text()
    assert yaml.safe_load(re.sub(r"(floe-monitor|alertmanager):(?=9)", "127.0.0.1:", text)) == document(
        SHIPPED / "prometheus.yaml"
    )
    for address in re.findall(r'"([a-z-]+):\d+"', text):
        assert address in SERVICES


@pytest.mark.process
def test_promtool_takes_it(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    for path in (COMPOSE / "prometheus.yaml", SHIPPED / "rules.yaml"):
        shutil.copy(path, tmp_path)
    done = subprocess.run(
        ["promtool", "check", "config", "--lint-fatal", "prometheus.yaml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_daemons_configuration_loads() -> None:
    settings = load(COMPOSE / "config" / "floe-monitor.yaml", {}).settings
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - within the network of the services
    assert "floe-monitor" in settings.http.allowed_hosts, "Prometheus asks by this name"
    assert list(settings.targets) == ["dev"]


def test_grafana_is_provisioned_with_the_dashboards() -> None:
    mounted = {target: COMPOSE / source for source, target, *_ in map(_parts, SERVICES["grafana"]["volumes"])}
    [source] = document(mounted["/etc/grafana/provisioning/datasources/floe-monitor.yaml"])["datasources"]
    [provider] = document(mounted["/etc/grafana/provisioning/dashboards/floe-monitor.yaml"])["providers"]
    boards = [json.loads(path.read_text()) for path in mounted[provider["options"]["path"]].glob("*.json")]
    assert {board["uid"] for board in boards} == {"floe-fleet", "floe-target", "floe-monitor"}
    assert source["isDefault"] is True, "a dashboard asks for the default source of its type"
    for board in boards:
        kinds = {each["query"] for each in board["templating"]["list"] if each["type"] == "datasource"}
        assert kinds == {source["type"]}


def _parts(mount: str) -> list[str]:
    return mount.split(":")
