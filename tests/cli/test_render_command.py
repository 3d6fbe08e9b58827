"""`render`: manifests of one target that Kubernetes takes, in which dbt finds what its profile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from floe_monitor.domain.targets import build_targets
from floe_monitor.registry.discovery import discover
from floe_monitor.settings import load
from tests.deploy.manifest_rules import beyond_restricted

ROOT = Path(__file__).parents[2]
WAREHOUSE = {
    "plugin": "postgres",
    "connection": {
        "host": "{{ env_var('DB_HOST') }}", "port": 5432, "dbname": "a", "user": "dbt", "schema": "public"
    },
    "credentials": {"password": {"file": "/var/run/secrets/warehouse/password"}},
    "output": "prod",
}  # fmt: skip
SHOP = {"name": "shop", "path": "profiles.yml"}
CHART = ROOT / "deploy" / "kubernetes" / "sidecar" / "manifests.yaml"


def template(manifest: dict[str, Any]) -> Any:
    match manifest["kind"]:
        case "Job":
            return manifest["spec"]["template"]
        case "CronJob":
            return manifest["spec"]["jobTemplate"]["spec"]["template"]
    return manifest["template"]


def rendered(call: Any, kind: str, *words: str) -> list[Any]:
    said = call("render", kind, "ware_House", "--image", "shop:1", *words)
    assert said.code == 0, said.err
    return list(yaml.safe_load_all(said.out))


def containers(pod: Any) -> dict[str, Any]:
    return {each["name"]: each for each in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]}


@pytest.mark.parametrize(("kind", "of"), [("job", "Job"), ("cronjob", "CronJob"), ("sidecar", "PodTemplate")])
def test_kubernetes_takes_it_and_restricts_it(call: Any, configure: Any, kind: str, of: str) -> None:
    configure({"ware_House": WAREHOUSE}, profiles=[SHOP])
    config_map, workload = rendered(call, kind)
    for each in (config_map, workload):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        assert each["metadata"]["name"] == "dbt-ware-house"
    assert (config_map["kind"], workload["kind"]) == ("ConfigMap", of)
    pod = template(workload)
    assert beyond_restricted(pod) == []
    assert pod["metadata"]["annotations"]["floe-monitor/dbt-packages"].startswith("dbt-postgres>=")


def test_a_misspelt_key_would_be_seen(call: Any, configure: Any) -> None:
    configure({"ware_House": WAREHOUSE}, profiles=[SHOP])
    _, job = rendered(call, "job")
    job["spec"]["backofLimit"] = 2
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_the_pod_is_that_of_the_chart(call: Any, configure: Any) -> None:
    configure({"ware_House": WAREHOUSE}, profiles=[SHOP])
    pod = template(rendered(call, "cronjob")[1])
    [theirs] = [each for each in yaml.safe_load_all(CHART.read_text()) if each["kind"] == "CronJob"]
    chart = template(theirs)
    for key, value in chart["spec"].items():
        if key not in ("initContainers", "containers", "volumes", "serviceAccountName"):
            assert pod["spec"][key] == value, key
    own, shipped = containers(pod), containers(chart)
    assert own.keys() == shipped.keys()
    for name, container in own.items():
        for key in container.keys() - {"image", "env", "volumeMounts", "args", "command", "resources"}:
            assert container[key] == shipped[name][key], (name, key)
        paths = {each["mountPath"] for each in container["volumeMounts"]}
        assert {each for each in paths if "secrets" not in each} == {
            each["mountPath"] for each in shipped[name]["volumeMounts"] if "secrets" not in each["mountPath"]
        }
    assert own["dbt"]["resources"] == shipped["dbt"]["resources"], "medium"
    sizes = {each["name"]: each["emptyDir"] for each in pod["spec"]["volumes"] if "emptyDir" in each}
    assert sizes == {
        each["name"]: each["emptyDir"] for each in chart["spec"]["volumes"] if "emptyDir" in each
    }


def test_the_daemon_of_the_pod_reads_it_and_dbt_has_what_the_profile_names(
    call: Any, configure: Any, tmp_path: Path
) -> None:
    configure(
        {"ware_House": WAREHOUSE, "other": WAREHOUSE},
        profiles=[{**SHOP, "targets": ["ware_House"]}],
        probe={"interval": "1m"},
    )
    config_map, job = rendered(call, "job", "--secret", "wh")
    path = tmp_path / "of-the-pod.yaml"
    path.write_text(config_map["data"]["floe-monitor.yaml"])
    loaded = load(path, {})
    [target] = build_targets(loaded.settings, discover(), loaded.locate, {}).values()
    assert (target.name, target.policy.interval) == ("ware_House", 60)
    [profile] = loaded.settings.profiles
    assert (profile.name, profile.target) == ("shop", "prod")
    assert target.entry.plugin is not None
    assert target.profile_config is not None
    output = target.entry.plugin.generate_dbt_profile(target.profile_config)
    pod = template(job)
    dbt = containers(pod)["dbt"]
    keys = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in dbt["env"] if "valueFrom" in each}
    assert keys.keys() == {"DB_HOST", "DBT_ENV_SECRET_WARE_HOUSE_PASSWORD"}
    assert output["password"] == "{{ env_var('DBT_ENV_SECRET_WARE_HOUSE_PASSWORD') }}"
    assert keys["DBT_ENV_SECRET_WARE_HOUSE_PASSWORD"] == {"name": "wh", "key": "password"}
    assert dbt["command"][-4:] == ["--profile", "shop", "--target", "prod"]
    mounted = {each["mountPath"] for each in containers(pod)["floe-monitor"]["volumeMounts"]}
    assert "/var/run/secrets/warehouse" in mounted


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--resource", "cpu_request=banana"], "cpu_request: 'banana' is no Kubernetes quantity"),
        (["--resource", "cpu_request=3"], "cpu_limit 2000m is below cpu_request 3"),
        (["--resource", "cpu_reqest=3"], "no key 'cpu_reqest'; did you mean 'cpu_request'?"),
        (["--resource", "cpu_request"], "write KEY=QUANTITY"),
        (["--size", "huge"], "no workload size 'huge'"),
    ],
)
def test_what_is_no_resource_is_refused_by_name(
    call: Any, configure: Any, words: list[str], told: str
) -> None:
    configure({"ware_House": WAREHOUSE}, profiles=[SHOP])
    said = call("render", "job", "ware_House", "--image", "shop:1", *words)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_resources_are_of_the_size_and_of_what_is_given(call: Any, configure: Any) -> None:
    configure({"ware_House": WAREHOUSE}, profiles=[SHOP])
    words = ("--size", "large", "--resource", "memory_limit=20Gi")
    resources = containers(template(rendered(call, "job", *words)[1]))["dbt"]["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["memory"]) == ("2000m", "20Gi")


def test_what_one_secret_cannot_be_is_refused(call: Any, configure: Any) -> None:
    for path, told in (
        ("password", "a Secret needs a directory of its own"),
        ("/tmp/password", "read from /tmp"),
    ):
        configure({"ware_House": {**WAREHOUSE, "credentials": {"password": {"file": path}}}}, profiles=[SHOP])
        said = call("render", "job", "ware_House", "--image", "shop:1")
        assert said.code == 2
        assert told in said.err


def test_which_profile_must_be_clear(call: Any, configure: Any) -> None:
    configure({"ware_House": WAREHOUSE})
    said = call("render", "job", "ware_House", "--image", "shop:1")
    assert said.code == 2
    assert "which profile does dbt use? none keeps it" in said.err
    assert rendered(call, "job", "--profile", "own")
