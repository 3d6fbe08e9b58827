"""What manifests are held to besides Kubernetes' own schemas: the operator's, pod security, and checkov."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from conformance import environments
from tests.deploy.chart_variants import Manifest
from tests.deploy.charts import containers

if TYPE_CHECKING:
    from pathlib import Path

_OPERATOR = """
import json
from cloudcoil.models.prometheus_operator import v1

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

kinds = (v1.ServiceMonitor, v1.PodMonitor, v1.PrometheusRule)
print(json.dumps({each.__name__: strict(each.model_json_schema(by_alias=True)) for each in kinds}))
"""


def operator_schemas() -> dict[str, Manifest]:
    """The Prometheus operator's custom resources by kind, made to refuse what they do not have."""
    python = environments.built("operator.txt") / "bin" / "python"
    done = subprocess.run([python, "-c", _OPERATOR], capture_output=True, text=True, timeout=120, check=True)
    schemas: dict[str, Manifest] = json.loads(done.stdout)
    return schemas


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
