"""The alert rules: promtool's cases, the runbook, the metrics they name, and one page from end to end."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from floe_monitor.compute.models import ComputeConfig, ConnectionStatus, ErrorType
from floe_monitor.domain.events import ProbeFinished, ProbeResult
from floe_monitor.domain.health import Thresholds, advance
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import ProbePolicy, Target
from floe_monitor.settings.models import TargetSettings
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.instruments import INSTRUMENTS
from floe_monitor.telemetry.prometheus import PrometheusSink
from floe_monitor.web.content_negotiation import accepts_openmetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.registry.discovery import PluginEntry

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
CASES = ROOT / "deploy" / "prometheus" / "rules_test.yaml"


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    return subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=120, check=False, cwd=RULES.parent
    )


@pytest.mark.process
def test_promtool_accepts_the_rules() -> None:
    done = promtool("check", "rules", "--lint-fatal", RULES.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
def test_promtool_accepts_the_scrape_configuration_with_the_rules() -> None:
    done = promtool("check", "config", "--lint-fatal", "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout


@pytest.mark.process
def test_cases_pass() -> None:
    done = promtool("test", "rules", CASES.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
def test_a_weaker_rule_fails_its_cases(tmp_path: Path) -> None:
    """The cases see a missing `for`: each alert's blip would fire."""
    text = re.sub(r"^( +for:) .*$", r"\1 0s", RULES.read_text(), flags=re.MULTILINE)
    (tmp_path / RULES.name).write_text(text)
    shutil.copy(CASES, tmp_path)
    done = promtool("test", "rules", str(tmp_path / CASES.name))
    failing = set(re.findall(r"alertname: (\w+)", done.stdout + done.stderr))
    # These ride out a blip by their expression alone.
    assert failing >= {rule["alert"] for rule in alerts()} - {
        "FloeTargetStale",
        "FloeTargetFlapping",
        "FloeMonitorNotProbing",
    }


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_alert_has_cases_that_fire_and_resolve(rule: dict[str, Any]) -> None:
    checks = [
        check
        for case in yaml.safe_load(CASES.read_text())["tests"]
        for check in case["alert_rule_test"]
        if check["alertname"] == rule["alert"]
    ]
    fires = [bool(check["exp_alerts"]) for check in checks]
    assert not fires[0], "quiet first"
    assert any(fires)
    assert not fires[-1], "resolved last"


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert anchor == rule["alert"].lower()


def test_rules_name_only_what_is_exported() -> None:
    exported = {instrument.name for instrument in INSTRUMENTS}
    for rule in alerts():
        named = re.findall(r"\bfloe_\w+", rule["expr"])
        assert {name.removesuffix("_bucket") for name in named} <= exported, rule["alert"]


class Watched:
    """One target's state behind a real HTTP endpoint, rendered as the daemon renders it."""

    def __init__(self) -> None:
        self.sink = PrometheusSink()
        self.state = MonitorState(started_at=time.time(), config=ConfigStatus(time.time(), time.time()))
        self.target = Target(
            name="warehouse",
            entry=cast("PluginEntry", SimpleNamespace(name="postgres", plugin=None, problem=None)),
            settings=TargetSettings(plugin="postgres"),
            policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
            fingerprint="",
            profile_config=ComputeConfig(plugin="postgres"),
        )
        self.state.targets["warehouse"] = TargetSnapshot(self.target)
        self.page = MetricsPage(self.state, self.sink, "1.0")

    def validated(self, status: ConnectionStatus) -> None:
        failed = status is ConnectionStatus.UNHEALTHY
        result = ProbeResult(
            target="warehouse",
            plugin="postgres",
            status=status,
            duration=0.01,
            started_at=time.time(),
            correlation_id="c0ffee",
            error_type=ErrorType.CONNECTION if failed else None,
        )
        before = self.state.targets["warehouse"]
        health, transition = advance(before.health, status, time.time(), Thresholds())
        self.state.targets["warehouse"] = before.after(result, health, keep=5, now=0.0)
        self.sink.handle(ProbeFinished(result, health, transition))


@pytest.fixture
def serve() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], ThreadingHTTPServer]]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, name="test-http", daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


def metrics_handler(watched: Watched) -> type[BaseHTTPRequestHandler]:
    class Metrics(Quiet):
        def do_GET(self) -> None:
            body, kind = watched.page.render(openmetrics=accepts_openmetrics(self.headers["Accept"]))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

    return Metrics


def webhook_handler(received: list[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Webhook(Quiet):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    return Webhook


@pytest.mark.e2e
def test_an_unhealthy_target_pages_and_resolves(
    tmp_path: Path,
    serve: Callable[[type[BaseHTTPRequestHandler]], ThreadingHTTPServer],
    start_prometheus: Callable[[dict[str, Any]], Any],
    start_alertmanager: Callable[[dict[str, Any]], Any],
    wait_until: Callable[[Callable[[], Any], float, str], Any],
) -> None:
    """Metrics, Prometheus, Alertmanager and a pager, all real; only the rules' patience is shortened."""
    pages: list[dict[str, Any]] = []
    pager = serve(webhook_handler(pages))
    alertmanager = start_alertmanager(
        {
            "route": {
                "receiver": "pager",
                "group_by": ["alertname", "target"],
                "group_wait": "100ms",
                "group_interval": "500ms",
            },
            "receivers": [
                {
                    "name": "pager",
                    "webhook_configs": [{"url": f"http://127.0.0.1:{pager.server_address[1]}/"}],
                }
            ],
        }
    )
    watched = Watched()
    watched.validated(ConnectionStatus.HEALTHY)
    endpoint = serve(metrics_handler(watched))
    rules = tmp_path / "rules.yaml"
    rules.write_text(re.sub(r"^( +for:) .*$", r"\1 1s", RULES.read_text(), flags=re.MULTILINE))
    prometheus = start_prometheus(
        {
            "global": {"scrape_interval": "300ms", "evaluation_interval": "300ms"},
            "rule_files": [str(rules)],
            "alerting": {
                "alertmanagers": [
                    {"static_configs": [{"targets": [alertmanager.url.removeprefix("http://")]}]}
                ]
            },
            "scrape_configs": [
                {
                    "job_name": "floe-monitor",
                    "static_configs": [{"targets": [f"127.0.0.1:{endpoint.server_address[1]}"]}],
                }
            ],
        }
    )

    def paged(alert: str, status: str) -> bool:
        return any(
            each["labels"]["alertname"] == alert and each["status"] == status
            for page in list(pages)
            for each in page["alerts"]
        )

    wait_until(lambda: prometheus.query("floe_compute_target_status == 1"), 60, "the first scrape")
    assert not paged("FloeTargetUnhealthy", "firing")

    watched.validated(ConnectionStatus.UNHEALTHY)
    wait_until(lambda: paged("FloeTargetUnhealthy", "firing"), 60, "the page")
    labels = next(a["labels"] for p in pages for a in p["alerts"] if a["labels"].get("target"))
    assert labels["target"] == "warehouse"
    assert labels["plugin"] == "postgres"
    assert labels["severity"] == "page"

    watched.validated(ConnectionStatus.HEALTHY)
    wait_until(lambda: paged("FloeTargetUnhealthy", "resolved"), 60, "the all-clear")

    endpoint.shutdown()
    endpoint.server_close()
    wait_until(lambda: paged("FloeMonitorDown", "firing"), 60, "the page for a silent daemon")
