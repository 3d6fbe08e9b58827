"""`make chart`: what is made of the chart's values, and the plain manifests that are made of the chart.

`values.yaml`, `values.schema.json` and the README's table come from `deploy.chart_values`; the manifests of
`deploy/kubernetes`, for those who have kubectl alone, from the chart with the `values.yaml` beside each.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from deploy.chart_values import Part, Values
from floe_monitor.settings.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

DEPLOY = Path(__file__).resolve().parent
CHART = DEPLOY / "helm" / "floe-monitor"
DBT_JOB = DEPLOY / "helm" / "dbt-job"
KUBERNETES = DEPLOY / "kubernetes"
HELM_ONLY = ("helm.sh/chart", "app.kubernetes.io/managed-by")
"""Labels that would be untrue of objects which no release has."""
_MADE = re.compile(r"(<!-- (?P<what>values|file (?P<path>\S+)) -->\n).*?(<!-- end -->\n)", re.DOTALL)


# ---------------------------------------------------------------- the values


def values_yaml() -> str:
    """Every value with its default, and what it is for above it."""
    head = "# Made by `make chart` from deploy/chart_values.py.\n"
    return head + "\n".join(_lines(Values(), 0)) + "\n"


def _lines(part: Part, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, field, value in _fields(part):
        if field.description:
            for line in textwrap.wrap(field.description, 100 - len(indent)):
                yield f"{indent}# {line}"
        if isinstance(value, Part):
            yield f"{indent}{key}:"
            yield from _lines(value, depth + 1)
        else:
            block = yaml.safe_dump({key: value}, sort_keys=False, width=100, default_flow_style=False)
            yield from (indent + line for line in block.splitlines())


def _fields(part: Part) -> Iterator[tuple[str, FieldInfo, Any]]:
    for name, field in type(part).model_fields.items():
        yield field.alias or name, field, getattr(part, name)


def values_schema() -> str:
    """The values' JSON Schema with the configuration's inside, whose `$id` keeps its references."""
    schema = Values.model_json_schema(by_alias=True)
    described = schema["properties"]["config"]["description"]
    schema["properties"]["config"] = {**json_schema(), "description": described}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **{key: schema[key] for key in ("title", "type", "additionalProperties", "properties", "$defs")},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def readme() -> str:
    """The README with its made parts anew: the table of values, and examples from their files."""
    text = (CHART / "README.md").read_text()

    def filled(found: re.Match[str]) -> str:
        made = _table() if found["what"] == "values" else _example(found["path"])
        return f"{found[1]}\n{made}\n{found[4]}"

    return _MADE.sub(filled, text)


def _table() -> str:
    rows = [
        f"| `{key}` | {_format_default(value)} | {described} |"
        for key, value, described in _flat(Values(), "")
    ]
    return "\n".join(["| Key | Default | Meaning |", "|---|---|---|", *rows, ""])


def _flat(part: Part, prefix: str) -> Iterator[tuple[str, Any, str]]:
    for key, field, value in _fields(part):
        if isinstance(value, Part):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value, field.description or ""


def _format_default(value: Any) -> str:
    return "unset" if value is None else f"`{json.dumps(value)}`"


def _example(path: str) -> str:
    return f"```yaml\n{(CHART / path).read_text()}```\n"


# ---------------------------------------------------------------- manifests without Helm


def helm(*arguments: str | Path) -> str:
    """What helm prints. Raises `SystemExit` with its words where it refuses."""
    done = subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"helm {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def template(chart: Path, *arguments: str | Path, name: str = "floe-monitor") -> str:
    return helm("template", name, chart, *arguments)


def with_dependencies(chart: Path, folder: Path) -> Path:
    """A copy of the chart in `folder`, beside the one it depends on, which it then contains."""
    copy = folder / chart.name
    for source in (CHART, chart):
        shutil.copytree(source, folder / source.name)  # with what its links lead to
    helm("dependency", "update", copy, "--skip-refresh")
    return copy


def manifests(directory: Path) -> str:
    """Of a directory below `deploy/kubernetes`, from its `values.yaml`."""
    values = directory / "values.yaml"
    if "floe-monitor" in yaml.safe_load(values.read_text()):  # of the chart that has ours within
        with tempfile.TemporaryDirectory() as folder:
            chart = with_dependencies(DBT_JOB, Path(folder))
            text = template(chart, "--values", values, name="dbt")
    else:
        text = template(CHART, "--values", values)
    found = [each for each in yaml.safe_load_all(text) if each]
    kept = [each for each in found if _is_wanted(each, directory)]
    for each in kept:
        _without_helm(each)
    head = f"# Made by `make chart` from {values.relative_to(DEPLOY.parent)}.\n"
    return head + yaml.safe_dump_all(kept, sort_keys=False, width=110)


def _is_wanted(manifest: dict[str, Any], directory: Path) -> bool:
    """A component has what the Prometheus operator reads and no more; a hook is nothing without Helm."""
    if directory.parent.name == "components":
        return str(manifest["apiVersion"]).startswith("monitoring.coreos.com/")
    return "helm.sh/hook" not in manifest["metadata"].get("annotations", {})


def _without_helm(node: Any) -> None:
    """Nor with a namespace: kustomize and kubectl set it."""
    if isinstance(node, list):
        for item in node:
            _without_helm(item)
    elif isinstance(node, dict):
        labels = node.get("labels")
        if isinstance(labels, dict):
            for label in HELM_ONLY:
                labels.pop(label, None)
        if "labels" in node and "name" in node:
            node.pop("namespace", None)
        for value in node.values():
            _without_helm(value)


def chart_files() -> dict[Path, str]:
    """What is made of the values, as it should be."""
    return {
        CHART / "values.yaml": values_yaml(),
        CHART / "values.schema.json": values_schema(),
        CHART / "README.md": readme(),
    }


def plain_files() -> dict[Path, str]:
    """What helm makes of the chart as it stands, as it should be."""
    directories = sorted(path.parent for path in KUBERNETES.rglob("values.yaml"))
    return {directory / "manifests.yaml": manifests(directory) for directory in directories}


def main() -> None:
    for path, text in chart_files().items():
        path.write_text(text)
    if shutil.which("helm") is None:
        raise SystemExit(
            "the manifests of deploy/kubernetes need helm, which is not installed; the chart is written"
        )
    for path, text in plain_files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
