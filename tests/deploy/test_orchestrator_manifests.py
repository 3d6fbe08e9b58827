"""The examples for Argo and for `kubectl wait`: valid, and the latter run in a pod here."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from jsonschema.exceptions import best_match

from conformance import environments
from deploy.chart import CHART, DEPLOY
from tests.deploy.chart_variants import TARGET, Manifest
from tests.deploy.charts import kind, need_helm, render
from tests.deploy.manifest_rules import argo_schemas, beyond_restricted

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = DEPLOY / "orchestrators"


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text())


def test_the_gates_job_is_valid_and_restricted() -> None:
    job = example("gate-job.yaml")
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    assert beyond_restricted(job["spec"]["template"]) == []


@pytest.mark.process
def test_the_gates_job_mounts_the_charts_configuration() -> None:
    need_helm()
    volumes = example("gate-job.yaml")["spec"]["template"]["spec"]["volumes"]
    [mounted] = [each["configMap"]["name"] for each in volumes if "configMap" in each]
    made = kind(render(CHART, {"config": TARGET}, release="floe-monitor"), "ConfigMap")
    assert mounted == made["metadata"]["name"]


@pytest.mark.gate
@pytest.mark.process
@pytest.mark.timeout(600)
def test_argo_accepts_its_workflow_and_would_see_a_misplaced_key() -> None:
    if reason := environments.unwanted("operator.txt"):
        pytest.skip(reason)
    validator = jsonschema.Draft202012Validator(argo_schemas()["CronWorkflow"])
    workflow = example("argo-cronworkflow.yaml")
    validator.validate(workflow)

    def misplaced(change: Callable[[Manifest], object]) -> Manifest:
        changed: Manifest = copy.deepcopy(workflow)
        change(changed["spec"]["workflowSpec"]["templates"][1])
        return changed

    for wrong, said in (
        (misplaced(lambda gate: gate.update(successCondition="true")), "'successCondition' was unexpected"),
        (misplaced(lambda gate: gate["http"].pop("url")), "'url' is a required property"),
    ):
        assert said in best_match(validator.iter_errors(wrong)).message
