"""The Helm chart: what is made of its values, what it refuses, and that tests take every branch of it."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from deploy import chart
from deploy.chart import CHART, DBT_JOB, with_dependencies
from deploy.chart_values import Values
from tests.deploy.branches import branches, unreached
from tests.deploy.chart_variants import JOBS, TARGET, VARIANTS, Manifest
from tests.deploy.charts import OPENSHIFT, helm, need_helm, render

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_made_of_the_values_is_as_it_would_be_made() -> None:
    differ = [path for path, text in chart.chart_files().items() if path.read_text() != text]
    assert not differ, "run `make chart`"


@pytest.mark.process
def test_the_manifests_are_as_they_would_be_made_of_the_chart() -> None:
    need_helm()
    differ = [path for path, text in chart.plain_files().items() if path.read_text() != text]
    assert not differ, "run `make chart`"


@pytest.mark.gate
@pytest.mark.parametrize("variant", VARIANTS)
def test_lint_is_content(starts_processes: None, variant: str) -> None:
    need_helm()
    done = helm("lint", "--strict", str(CHART), values=VARIANTS[variant])
    assert done.returncode == 0, done.stdout


@pytest.mark.gate
def test_the_packaged_chart_is_the_one_that_is_tested(starts_processes: None, tmp_path: Path) -> None:
    """With what its links lead to, and without what is no part of it."""
    need_helm()
    packaged = helm("package", str(CHART), "--destination", str(tmp_path))
    assert packaged.returncode == 0, packaged.stderr
    [archive] = tmp_path.glob("*.tgz")
    values = VARIANTS["scraped"]
    assert render(archive, values) == render(CHART, values)
    with tarfile.open(archive) as found:
        names = found.getnames()
    assert not [name for name in names if "test" in name.rpartition("/")[2] or name.endswith(".py")]


def test_every_value_says_what_it_is_for() -> None:
    schema = Values.model_json_schema()
    for owner in (schema, *schema["$defs"].values()):
        for key, field in owner["properties"].items():
            assert field.get("description") or "$ref" in field, key


def test_the_schema_has_the_configurations_inside() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert validator.is_valid(defaults)
    assert validator.is_valid({**defaults, "config": TARGET})
    for wrong in (
        {"probe": {"intervall": "1s"}},
        {"targets": {"a": {"plugin": "x", "credentials": {"p": "s3cret"}}}},
    ):
        assert not validator.is_valid({**defaults, "config": wrong})


@pytest.mark.process
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"config": {"probe": {"intervall": "1s"}}}, "at '/config/probe': additional properties 'intervall'"),
        ({"serviceMonitor": {"honorLabels": True}}, "at '/serviceMonitor': additional properties"),
        ({"mode": "cronjob"}, "at '/mode'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"ingress": {"enabled": True}}, "ingress.hosts is empty"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
        ({"mode": "sidecar", "serviceMonitor": {"enabled": True}}, "serviceMonitor.enabled needs a Service"),
        ({"service": {"enabled": False}, "httpRoute": {"enabled": True}}, "httpRoute.enabled needs"),
        ({"existingConfigMap": "own", "config": TARGET}, "config.targets would not be read"),
        ({"volumeClaimTemplates": [{}]}, "volumeClaimTemplates are of mode statefulset alone"),
        ({"shards": {"enabled": True}}, "shards.enabled is of mode statefulset alone"),
        (
            {"mode": "statefulset", "shards": {"enabled": True}, "existingConfigMap": "own"},
            "shards.enabled writes config.shard",
        ),
        (
            {"mode": "statefulset", "replicas": 2, "shards": {"enabled": True, "replicas": 3}},
            "shards.replicas is 3, and there are 2 pods",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_place(values: Manifest, told: str) -> None:
    need_helm()
    done = helm("template", "floe", str(CHART), values=values)
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_branch_of_every_template_is_taken(starts_processes: None, tmp_path: Path) -> None:
    need_helm()
    job = with_dependencies(DBT_JOB, tmp_path)
    ours = job / "charts" / CHART.name
    shutil.copytree(tmp_path / CHART.name, ours)
    for archive in (job / "charts").glob("*.tgz"):
        archive.unlink()
    recorded = {"groups": [{"name": "recorded", "rules": [{"record": "a:b", "expr": "vector(1)"}]}]}
    (ours / "files" / "prometheus" / "recorded.yaml").write_text(json.dumps(recorded))

    def refusal(where: Path, values: Manifest, *arguments: str) -> str | None:
        done = helm(*arguments, str(where), "--dry-run=client", values=values)
        return done.stderr if done.returncode != 0 else None

    def renderings(values: Manifest) -> Any:
        return lambda: refusal(ours, values, "install", "floe")

    asked = [renderings(values) for values in VARIANTS.values()]
    asked += [lambda: refusal(ours, {"config": TARGET}, "template", "floe-monitor", *OPENSHIFT)]
    asked += [renderings({"serviceAccount": {"create": False, "name": "known"}})]
    asked += [renderings({"config": {"include": ["x"]}}), renderings({"mode": "sidecar"})]
    asked += [renderings({"service": {"enabled": False}, "ingress": {"enabled": True, "hosts": ["a"]}})]
    asked += [renderings({"existingConfigMap": "own", "config": TARGET})]
    asked += [renderings({"volumeClaimTemplates": [{}]}), renderings({"ingress": {"enabled": True}})]
    asked += [renderings({"httpRoute": {"enabled": True}}), renderings({"shards": {"enabled": True}})]
    shards = {"mode": "statefulset", "shards": {"enabled": True}}
    asked += [
        renderings({**shards, "config": {"shard": {"count": 1}}}),
        renderings({**shards, "shards": {"enabled": True, "replicas": 2}}),
    ]
    asked += [
        lambda values=values: refusal(job, {"floe-monitor": values}, "install", "floe")
        for values in JOBS.values()
    ]
    left = unreached(ours / "templates", asked)
    assert not left, "\n".join(f"{each.template}:{each.line} {each.word}" for each in left)


def test_branches_are_seen() -> None:
    found = branches(sorted((CHART / "templates").glob("*.*")))
    assert len(found) > 150
    assert any(each.word == "else" for each in found)
