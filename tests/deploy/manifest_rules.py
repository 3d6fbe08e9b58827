"""What manifests are held to besides Kubernetes' own schemas: the operator's, pod security, and checkov."""

from __future__ import annotations

import json
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

from conformance import environments, maven_artifacts
from tests.deploy.chart_variants import Manifest
from tests.deploy.charts import containers

if TYPE_CHECKING:
    from pathlib import Path

_STRICT = """
import json

def strict(node):
    if isinstance(node, dict):
        if "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            strict(value)
    elif isinstance(node, list):
        for value in node:
            strict(value)
    return node

print(json.dumps({each.__name__: strict(each.model_json_schema(by_alias=True)) for each in kinds}))
"""
_OPERATOR = """
from cloudcoil.models.prometheus_operator import v1

kinds = (v1.ServiceMonitor, v1.PodMonitor, v1.PrometheusRule)
"""
_ARGO = """
from hera.workflows.models import CronWorkflow

kinds = (CronWorkflow,)
"""


def operator_schemas() -> dict[str, Manifest]:
    """The Prometheus operator's custom resources by kind, made to refuse what they do not have."""
    return _schemas(_OPERATOR)


def argo_schemas() -> dict[str, Manifest]:
    """Argo's likewise."""
    return _schemas(_ARGO)


def _schemas(models: str) -> dict[str, Manifest]:
    python = environments.built("operator.txt") / "bin" / "python"
    command = [str(python), "-c", models + _STRICT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    schemas: dict[str, Manifest] = json.loads(done.stdout)
    return schemas


GATEWAY = maven_artifacts.Artifact(
    group="io.fabric8",
    name="kubernetes-model-gatewayapi",
    version="6.14.0",
    packaging="jar",
    sha256="91936c2a7a0506028aca13d76b4de63c2e9da107ea310020dcf0b7ecc8cbd393",
)
"""The newest of its line with a schema inside, which is made of the Gateway API's own types: 1 MB."""


def route_schema() -> Manifest:
    """An HTTPRoute's, of version v1, made to refuse what it does not have. It knows no patterns of values."""
    with zipfile.ZipFile(maven_artifacts.fetched(GATEWAY)) as jar:
        schema: Manifest = json.loads(jar.read("schema/kube-schema.json"))
    definitions = _strict(schema["definitions"])
    return {"$ref": "#/definitions/kubernetes_sigs_gatewayapi_v1_HTTPRoute", "definitions": definitions}


def _strict(node: Any) -> Any:
    """`required` is a flag of each field there, as in the third draft of JSON Schema."""
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _strict(value) for key, value in node.items() if not (key == "required" and value is True)}
    return {**kept, "additionalProperties": False} if isinstance(kept.get("properties"), dict) else kept


def beyond_restricted(pod: Manifest) -> list[str]:
    """What the *restricted* pod security standard would refuse it for, and a root that can be written."""
    spec, found = pod["spec"], []
    context = spec.get("securityContext", {})
    found += [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += ["sysctls"] if context.get("sysctls") else []
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for volume in spec.get("volumes", ()):
        found += [f"volume {volume['name']}: {type_}" for type_ in volume.keys() - {"name"} - allowed]
    for each in containers(pod):
        merged = {**context, **each.get("securityContext", {})}
        wanted = {
            "runAsNonRoot": merged.get("runAsNonRoot") is True,
            "runAsUser": merged.get("runAsUser") != 0,
            "seccompProfile": merged.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "allowPrivilegeEscalation": merged.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": merged.get("capabilities", {}).get("drop") == ["ALL"],
            "capabilities.add": not merged.get("capabilities", {}).get("add"),
            "privileged": not merged.get("privileged"),
            "hostPort": not any("hostPort" in port for port in each.get("ports", ())),
            "readOnlyRootFilesystem": merged.get("readOnlyRootFilesystem") is True,
        }
        found += [f"container {each['name']}: {key}" for key, kept in wanted.items() if not kept]
    return found


WAIVED = {
    "CKV_K8S_15": "an image pulled at every start: tags of versions never move, and a digest cannot",
    "CKV_K8S_35": "Secrets as files alone: profiles.yml has env_var(), which dbt reads from variables",
}
"""Checkov's policies that the chart breaks, and why."""


def broken_policies(folder: Path) -> set[str]:
    """Checkov's, by `NUMBER OBJECT`, of the manifests in a folder. It is asked offline."""
    checkov = environments.built("checkov.txt") / "bin" / "checkov"
    options = ["--framework", "kubernetes", "--compact", "--quiet", "--skip-download", "--output", "json"]
    waived = ["--skip-check", ",".join(WAIVED)]
    done = subprocess.run(
        [checkov, *options, *waived, "--directory", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = json.loads(done.stdout)
    assert found["summary"]["passed"] > 50, done.stderr
    return {f"{each['check_id']} {each['resource']}" for each in found["results"]["failed_checks"]}
