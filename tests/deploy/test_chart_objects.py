"""What the chart's objects mean: they find each other, and the daemon does what the values say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.chart import CHART
from floe_monitor.domain.shards import Shard, resolve
from floe_monitor.registry.config_validation import build_config
from floe_monitor.registry.discovery import discover
from floe_monitor.settings.loader import load_http
from floe_monitor.settings.models import Settings
from tests.deploy.chart_variants import ALERTS, TARGET, Manifest
from tests.deploy.charts import (
    OPENSHIFT,
    Rendered,
    kind,
    monitor,
    monitor_pod,
    need_helm,
    pods,
    render,
)

pytestmark = pytest.mark.gate

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("engine", "lines"), [("duckdb", 9), ("postgres", 19)])
def test_an_engine_takes_few_lines(rendered: Rendered, engine: str, lines: int) -> None:
    assert len((CHART / "ci" / f"{engine}-values.yaml").read_text().splitlines()) <= lines
    settings = settings_of(rendered[engine])
    registry = discover()
    for target in settings.targets.values():
        plugin = registry.get(target.plugin).plugin
        assert plugin is not None
        fields = target.model_dump(include={"plugin", "threads", "timeout_seconds", "connection"})
        build_config(plugin, fields)
        assert monitor(rendered[engine])["image"] == f"floe-monitor:0.1.0-{target.plugin}"
    mounts = [each["mountPath"] for each in monitor(rendered[engine])["volumeMounts"]]
    given = {each["name"] for each in monitor(rendered[engine])["env"]}
    for target in settings.targets.values():
        for reference in target.credentials.values():
            assert str(Path(reference.file or "").parent) in mounts
            assert reference.env in given


def settings_of(manifests: list[Manifest]) -> Settings:
    text = kind(manifests, "ConfigMap")["data"]["floe-monitor.yaml"]
    return Settings.model_validate(yaml.safe_load(text))


def test_the_pod_listens_where_it_is_asked(rendered: Rendered) -> None:
    for name in ("duckdb", "ingress", "job"):
        manifests = rendered[name]
        settings, container = settings_of(manifests), monitor(manifests)
        assert settings.http.host == "0.0.0.0"  # noqa: S104 - a pod's address is not known beforehand
        (port,) = container["ports"]
        assert port["containerPort"] == settings.http.port == (8080 if name == "ingress" else 9464)
        [allowed] = [rule["ports"] for rule in kind(manifests, "NetworkPolicy")["spec"]["ingress"]]
        assert allowed == [{"protocol": "TCP", "port": settings.http.port}]
        for probe, route in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            assert container[probe]["httpGet"] == {"path": route, "port": port["name"]}
        start = container["startupProbe"]
        assert start["httpGet"]["path"] == ("/readyz" if name == "job" else "/healthz")
        assert start["failureThreshold"] * start["periodSeconds"] > 2 * settings.probe.timeout
    assert settings_of(rendered["ingress"]).http.allowed_hosts == ["floe.example"]
    assert settings_of(rendered["route"]).http.allowed_hosts == ["floe.example"]


def test_probes_and_scrapes_follow_the_listeners(rendered: Rendered) -> None:
    encrypted, apart = rendered["encrypted"], rendered["health apart"]
    [endpoint] = kind(encrypted, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {"insecureSkipVerify": True}
    ports = {each["name"]: each["containerPort"] for each in monitor(apart)["ports"]}
    assert ports["health"] == settings_of(apart).http.health.port  # type: ignore[union-attr]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert monitor(encrypted)[probe]["httpGet"]["scheme"] == "HTTPS"
        assert monitor(apart)[probe]["httpGet"]["port"] == "health"
    [pod] = [each for each in encrypted if each["kind"] == "Pod"]
    [container] = pod["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert load_http(ROOT / "deploy" / "docker" / "floe-monitor.yaml", environment).tls is not None


@pytest.mark.parametrize(
    ("variant", "seconds"), [("duckdb", 30), ("statefulset", 110), ("names", 46), ("image", 0)]
)
def test_the_pod_outlives_an_orderly_stop(rendered: Rendered, variant: str, seconds: int) -> None:
    assert monitor_pod(rendered[variant])["spec"]["terminationGracePeriodSeconds"] == seconds


def test_each_pod_of_shards_finds_its_ordinal_in_its_name(rendered: Rendered) -> None:
    manifests = rendered["shards"]
    config = yaml.safe_load(kind(manifests, "ConfigMap")["data"]["floe-monitor.yaml"])
    [container] = monitor_pod(manifests)["spec"]["containers"]
    named = {each["name"]: each["valueFrom"] for each in container["env"] if "valueFrom" in each}
    settings = Settings.model_validate(config).shard
    assert settings is not None
    assert named["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    pods = kind(manifests, "StatefulSet")["spec"]["replicas"]
    name = kind(manifests, "StatefulSet")["metadata"]["name"]
    found = [resolve(settings, {"POD_NAME": f"{name}-{ordinal}"}, "node-7") for ordinal in range(pods)]
    assert found == [Shard(ordinal, 4, 2) for ordinal in range(4)]


def test_selectors_find_the_pods_and_nothing_else(rendered: Rendered) -> None:
    for name, manifests in rendered.items():
        labels = monitor_pod(manifests)["metadata"]["labels"]
        for each in manifests:
            spec = each.get("spec", {})
            if each["kind"] in {
                "Deployment",
                "DaemonSet",
                "StatefulSet",
                "PodMonitor",
                "PodDisruptionBudget",
            }:
                assert spec["selector"]["matchLabels"].items() <= labels.items(), name
            elif each["kind"] == "NetworkPolicy":
                assert spec["podSelector"]["matchLabels"].items() <= labels.items(), name
            elif each["kind"] == "ServiceMonitor":
                service = kind(manifests, "Service")
                assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
                assert {point["port"] for point in spec["endpoints"]} == {"http"}
            elif each["kind"] == "Service":
                assert spec["selector"].items() <= labels.items()
                assert (spec.get("clusterIP") == "None") == (
                    name in {"daemonset", "statefulset", "shards", "many targets", "host"}
                )
            elif each["kind"] == "Pod":
                assert not spec.get("selector")
                assert each["metadata"]["labels"]["app.kubernetes.io/component"] == "test"
    assert labels_of_spread(rendered) == kind(rendered["placement"], "Deployment")["spec"]["selector"]


def test_a_policy_without_peers_lets_in_nobody(rendered: Rendered) -> None:
    assert kind(rendered["closed"], "NetworkPolicy")["spec"]["ingress"] == []
    for manifests in rendered.values():
        for each in manifests:
            if each["kind"] == "NetworkPolicy":
                assert each["spec"]["policyTypes"][0] == "Ingress"
                assert all(rule["from"] for rule in each["spec"]["ingress"])


def labels_of_spread(rendered: Rendered) -> Manifest:
    [constraint] = monitor_pod(rendered["placement"])["spec"]["topologySpreadConstraints"]
    selector: Manifest = constraint["labelSelector"]
    return selector


def test_the_image_is_the_digests_where_one_is_given(rendered: Rendered) -> None:
    container = monitor(rendered["image"])
    assert container["image"] == f"registry.example/floe-monitor@sha256:{'a' * 64}"
    assert monitor_pod(rendered["image"])["spec"]["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.process
def test_a_changed_configuration_makes_new_pods_only_where_that_is_wanted() -> None:
    need_helm()

    def annotations(**values: Any) -> Manifest:
        found: Manifest = monitor_pod(render(CHART, values))["metadata"]["annotations"]
        return found

    other = {"targets": {**TARGET["targets"], "more": TARGET["targets"]["dev"]}}
    assert annotations(config=TARGET) == annotations(config=other)
    restarting = [annotations(config=each, configChange="restart") for each in (TARGET, other)]
    assert restarting[0] != restarting[1]


@pytest.mark.process
def test_openshift_chooses_the_user() -> None:
    need_helm()
    for pod in pods(render(CHART, {"config": TARGET}, *OPENSHIFT)):
        context = pod["spec"]["securityContext"]
        assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_every_alert_is_there_but_those_left_out(rendered: Rendered) -> None:
    def rules(variant: str) -> list[Manifest]:
        groups = kind(rendered[variant], "PrometheusRule")["spec"]["groups"]
        return [rule for group in groups for rule in group["rules"] if "alert" in rule]

    plain = rules("scraped plainly")
    assert [rule["alert"] for rule in plain] == ALERTS
    assert len(ALERTS) > 5
    *shaped, own = rules("scraped")
    assert own["alert"] == "Own"
    assert kind(rendered["scraped"], "PrometheusRule")["metadata"]["namespace"] == "monitoring"
    kept = [rule for rule in plain if rule["alert"] != ALERTS[0]]
    for rule, found in zip(kept, shaped, strict=True):
        assert found["expr"] == rule["expr"]
        assert found["labels"] == {**rule.get("labels", {}), "team": "core"}
        annotations = dict(rule.get("annotations", {}))
        if "runbook_url" in annotations:
            _, _, name = annotations["runbook_url"].partition("#")
            annotations["runbook_url"] = f"https://wiki.example/floe#{name}"
        assert found.get("annotations", {}) == annotations
    assert [rule["alert"] for rule in rules("job that waits")] == ALERTS[-1:]  # and no group is left empty


def test_the_rules_are_of_how_metrics_come(rendered: Rendered) -> None:
    sources = {"scraped plainly": "rules.yaml", "rules for metrics by OTLP": "rules-otlp.yaml"}
    for variant, name in sources.items():
        shipped = yaml.safe_load((ROOT / "deploy" / "prometheus" / name).read_text())
        groups = kind(rendered[variant], "PrometheusRule")["spec"]["groups"]
        expressions = [rule["expr"] for group in groups for rule in group["rules"]]
        assert expressions == [rule["expr"] for group in shipped["groups"] for rule in group["rules"]]


def test_every_dashboard_is_there_as_it_is(rendered: Rendered) -> None:
    maps = [each for each in rendered["scraped"] if "grafana_dashboard" in each["metadata"].get("labels", {})]
    boards = (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    shipped = {path.name: json.loads(path.read_text()) for path in boards}
    assert {key: json.loads(text) for each in maps for key, text in each["data"].items()} == shipped
    assert {each["metadata"]["namespace"] for each in maps} == {"grafana"}


def test_the_test_pod_asks_the_service(rendered: Rendered) -> None:
    manifests = rendered["ingress"]
    [pod] = [each for each in manifests if each["kind"] == "Pod"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    [container] = pod["spec"]["containers"]
    assert container["args"][:2] == ["healthcheck", "--ready"]
    service = kind(manifests, "Service")
    wanted = {"FLOE_MONITOR_HTTP__HOST": service["metadata"]["name"], "FLOE_MONITOR_HTTP__PORT": "80"}
    assert {each["name"]: each["value"] for each in container["env"]} == wanted
    peers = kind(manifests, "NetworkPolicy")["spec"]["ingress"][0]["from"]
    selected = [each["podSelector"]["matchLabels"].items() for each in peers if "podSelector" in each]
    assert any(labels <= pod["metadata"]["labels"].items() for labels in selected)


def test_a_route_leads_to_the_service(rendered: Rendered) -> None:
    route = kind(rendered["route"], "HTTPRoute")
    assert route["spec"].keys() == {"parentRefs", "hostnames", "rules"}
    [rule] = route["spec"]["rules"]
    assert rule.keys() == {"backendRefs", "filters"}
    service = kind(rendered["route"], "Service")
    assert rule["backendRefs"] == [
        {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    ]
