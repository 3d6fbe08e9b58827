"""The services of compose.yaml, as programs: each with the command and the configuration that it has there.

What Compose itself would add, images, names and volumes, is not part of it: addresses and paths are this
machine's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Daemon

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.timeout(600)]

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
SHIPPED = COMPOSE.parent / "prometheus"
SECONDS = 120.0


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def flags(service: str) -> list[str]:
    """Those of its command that say nothing of paths, which the test gives."""
    command = document(COMPOSE / "compose.yaml")["services"][service]["command"]
    return [
        each
        for each in command
        if not each.startswith(("--config.file", "--storage.path", "--storage.tsdb.path"))
    ]


def test_prometheus_finds_the_monitor_its_rules_and_alertmanager(
    start_daemon: Callable[..., Daemon],
    started: Callable[[str, dict[str, Any], list[str]], Any],
    wait_until: Callable[[Callable[[], Any], float, str], Any],
    tmp_path: Path,
) -> None:
    configuration = document(COMPOSE / "config" / "floe-monitor.yaml")
    configuration["http"]["host"] = "127.0.0.1"
    configuration["profiles"][0]["path"] = str(tmp_path / "profiles.yml")
    daemon = start_daemon(yaml.safe_dump(configuration))
    alertmanager = started(
        "prometheus-alertmanager", document(SHIPPED / "alertmanager.yaml"), flags("alertmanager")
    )
    scraping = document(COMPOSE / "prometheus.yaml")
    scraping["global"]["scrape_interval"] = "1s"
    scraping["rule_files"] = [str(SHIPPED / "rules.yaml")]
    scraping["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        urlsplit(alertmanager.url).netloc
    ]
    scraping["scrape_configs"][0]["static_configs"][0]["targets"] = [urlsplit(daemon.url).netloc]
    prometheus = started("prometheus", scraping, flags("prometheus"))

    def seen() -> bool:
        found = prometheus.query('floe_compute_target_status{job="floe-monitor"}')
        return [(each["metric"]["target"], each["value"][1]) for each in found] == [("dev", "1")]

    wait_until(seen, SECONDS, "the target is healthy in Prometheus")

    def sends() -> bool:
        active = prometheus.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        return [urlsplit(each["url"]).netloc for each in active] == [urlsplit(alertmanager.url).netloc]

    wait_until(sends, SECONDS, "Prometheus knows the Alertmanager")
    groups = {each["name"] for each in prometheus.get("/api/v1/rules")["data"]["groups"]}
    assert groups == {each["name"] for each in document(SHIPPED / "rules.yaml")["groups"]}
