"""What the chart renders to is accepted by Kubernetes, by its restricted standard and by the operator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import kubernetes_validate
import pytest

from conformance import environments, maven_artifacts
from deploy.chart import CHART
from tests.deploy.chart_variants import VARIANTS, Manifest
from tests.deploy.charts import (
    Rendered,
    containers,
    kind,
    monitor,
    monitor_pod,
    need_helm,
    pods,
    render,
)
from tests.deploy.manifest_rules import beyond_restricted, broken_policies, operator_schemas, route_schema

if TYPE_CHECKING:
    from pathlib import Path

NEWEST = kubernetes_validate.latest_version()
MINORS = [f"1.{int(NEWEST.split('.')[1]) - age}" for age in range(4)]
CUSTOM = {"monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1"}


def validate(manifests: list[Manifest], version: str) -> int:
    """How many have a schema there; custom resources have none."""
    known = [each for each in manifests if each["apiVersion"] not in CUSTOM]
    for each in known:
        kubernetes_validate.validate(each, version, strict=True)
    return len(known)


@pytest.mark.parametrize("variant", ["daemonset", "statefulset", "ingress", "job that waits"])
def test_the_newest_kubernetes_accepts_the_workloads(rendered: Rendered, variant: str) -> None:
    assert validate(rendered[variant], NEWEST) >= len(rendered[variant]) - 2


@pytest.mark.gate
@pytest.mark.parametrize("version", MINORS)
def test_the_four_newest_minors_accept_every_variant(rendered: Rendered, version: str) -> None:
    assert sum(validate(manifests, version) for manifests in rendered.values()) > 100


def test_strict_validation_sees_a_misspelt_key(rendered: Rendered) -> None:
    manifests = json.loads(json.dumps(rendered["duckdb"]))
    monitor(manifests)["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        validate(manifests, NEWEST)


@pytest.mark.gate
def test_the_operator_accepts_its_resources_and_would_see_a_misplaced_key(
    rendered: Rendered,
) -> None:
    if reason := environments.unwanted("operator.txt"):
        pytest.skip(reason)
    schemas = operator_schemas()
    found = [
        each
        for variant in rendered.values()
        for each in variant
        if each["apiVersion"] == "monitoring.coreos.com/v1"
    ]
    assert {each["kind"] for each in found} == {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    for each in found:
        jsonschema.Draft202012Validator(schemas[each["kind"]]).validate(each)
    for kind_, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        monitor_ = kind(rendered["scraped"], kind_)
        spec: Manifest = {**monitor_["spec"], "honorLabels": True}
        spec[endpoints] = [{key: value for key, value in spec[endpoints][0].items() if key != "honorLabels"}]
        with pytest.raises(jsonschema.ValidationError, match="'honorLabels' was unexpected"):
            jsonschema.Draft202012Validator(schemas[kind_]).validate({**monitor_, "spec": spec})


@pytest.mark.gate
@pytest.mark.process
@pytest.mark.timeout(900)
def test_the_gateway_api_accepts_routes_and_would_see_a_misplaced_key(rendered: Rendered) -> None:
    if reason := maven_artifacts.unavailable():
        pytest.skip(reason)
    validator = jsonschema.Draft7Validator(route_schema())
    routes = [each for variant in rendered.values() for each in variant if each["kind"] == "HTTPRoute"]
    assert len(routes) == 2
    for each in routes:
        assert each["apiVersion"] == "gateway.networking.k8s.io/v1"
        validator.validate(each)
    [route] = [each for each in routes if "filters" in each["spec"]["rules"][0]]
    [rule] = route["spec"]["rules"]
    misplaced: Manifest = {**route["spec"], "filters": rule["filters"]}
    for spec, said in (
        (misplaced, "'filters' was unexpected"),
        ({**route["spec"], "rules": [{**rule, "timeouts": "5s"}]}, "'5s' is not of type 'object'"),
    ):
        with pytest.raises(jsonschema.ValidationError, match=said):
            validator.validate({**route, "spec": spec})


def test_the_restricted_standard_allows_every_pod(rendered: Rendered) -> None:
    for name, manifests in rendered.items():
        for pod in pods(manifests):
            forbidden = (
                name == "host" and pod["metadata"]["labels"]["app.kubernetes.io/component"] == "monitor"
            )
            assert beyond_restricted(pod) == (["hostNetwork"] if forbidden else []), name
            spec = pod["spec"]
            assert spec["automountServiceAccountToken"] is False
            # FLOE_MONITOR_PORT and its like would be read as configuration.
            assert spec["enableServiceLinks"] is False
            for each in containers(pod):
                if each["name"] in {"other", "first"}:
                    continue  # the variant's own
                assert {"cpu", "memory", "ephemeral-storage"} == each["resources"]["requests"].keys()
                assert {"cpu", "memory", "ephemeral-storage"} == each["resources"]["limits"].keys()
                assert any(mount["mountPath"] == "/tmp" for mount in each["volumeMounts"])
                assert not any("subPath" in mount for mount in each["volumeMounts"])


def test_a_privileged_pod_is_seen(rendered: Rendered) -> None:
    pod = json.loads(json.dumps(monitor_pod(rendered["duckdb"])))
    pod["spec"]["hostPID"] = True
    pod["spec"]["volumes"].append({"name": "root", "hostPath": {"path": "/"}})
    pod["spec"]["containers"][0]["securityContext"] = {
        "privileged": True,
        "capabilities": {"add": ["SYS_ADMIN"]},
    }
    said = " ".join(beyond_restricted(pod))
    assert all(word in said for word in ("hostPID", "hostPath", "privileged", "drop", "add", "Escalation"))


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", ["deployment", "daemonset", "statefulset"])
def test_checkovs_policies_are_kept(starts_processes: None, tmp_path: Path, mode: str) -> None:
    need_helm()
    if reason := environments.unwanted("checkov.txt"):
        pytest.skip(reason)
    values = {
        **VARIANTS["postgres"],
        "mode": mode,
        "image": {"digest": f"sha256:{'a' * 64}"},
        "test": {"enabled": False},  # a pod that ends needs no probes
    }
    manifests = render(CHART, values, "--namespace", "floe")
    (tmp_path / "rendered.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    )
    assert not broken_policies(tmp_path)


@pytest.mark.gate
@pytest.mark.timeout(400)
def test_checkov_sees_a_privileged_container(rendered: Rendered, tmp_path: Path) -> None:
    if reason := environments.unwanted("checkov.txt"):
        pytest.skip(reason)
    workload = json.loads(json.dumps(kind(rendered["duckdb"], "Deployment")))
    workload["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    (tmp_path / "rendered.json").write_text(json.dumps(workload))
    assert f"CKV_K8S_16 Deployment.default.{workload['metadata']['name']}" in broken_policies(tmp_path)
