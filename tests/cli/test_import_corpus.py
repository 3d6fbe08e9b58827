"""Profiles of many shapes are imported whole: nothing is lost, and each stays as it is, secrets apart."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conformance import environments
from floe_monitor.cli.profile_import import read_profiles
from floe_monitor.compute.toolkit.env_references import is_template, parse_expression
from floe_monitor.registry.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.gate

CORPUS = sorted((Path(__file__).parents[1] / "profiles" / "corpus").glob("*.yml"))
NO_TARGETS = {
    "bigquery-workload-identity": {"entra"},
    "databricks-logins": {"person"},
    "duckdb-remote": {"dev"},
    "many-engines": {"trino"},
    "snowflake-mixed-logins": {"sso", "mfa", "okta"},
    "snowflake-oauth-refresh": {"dev"},
    "spark-odbc-and-session": {"sql_warehouse", "session"},
}
"""Outputs that no daemon can watch: each is named with its reason, and stays as it is."""
LITERALS = {
    "duckdb-minio-literal",
    "duckdb-secret-literal-in-list",
    "postgres-default-password",
    "postgres-literal-password",
    "windows-literal-password",
}
"""Files with literal secrets; a write puts the name of a variable in their place and changes nothing else."""


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 66
    assert {path.stem for path in CORPUS} >= {*NO_TARGETS, *LITERALS}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_an_imported_profile_stays_as_it_is(
    call: Any, place: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, lost = path.read_bytes(), NO_TARGETS.get(path.stem, set())
    (place / "profiles.yml").write_bytes(data)
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == (1 if lost else 0), said.err
    named = [line for line in said.err.splitlines() if line.startswith("not carried over: ")]
    assert len(named) == len(lost)
    assert all(any(f"output {output}: " in line for line in named) for output in lost)
    said = call("config", "check")
    assert said.code == 0, said.err
    assert f"{len(outputs(data)) - len(lost)} target" in said.out, "every other output is a target"

    secrets = read_profiles(Path("profiles.yml"), (), discover()).secrets
    assert bool(secrets.made) == (path.stem in LITERALS)
    if not secrets.made:
        said = call("profiles", "diff")
        assert (said.code, said.out) == (0, ""), said.err
        assert call("profiles", "write").code == 0
        assert (place / "profiles.yml").read_bytes() == data
        return
    before = rendered(data, {})
    for name in secrets.made:
        monkeypatch.delenv(name, raising=False)
    assert call("profiles", "write").code == 1, "the literal has no other copy"
    assert (place / "profiles.yml").read_bytes() == data
    environ: dict[str, str] = {}
    secrets.set_in(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert call("profiles", "write").code == 0
    after = (place / "profiles.yml").read_bytes()
    assert rendered(after, environ) == before, "dbt logs in with the same"
    assert after != data
    assert without(after, ("'", '"', *(f"{{{{ env_var('{name}') }}}}" for name in environ))) == without(
        data, ("'", '"', *(spelling(data, name, value) for name, value in environ.items()))
    )
    assert call("profiles", "diff").out == ""


def outputs(data: bytes) -> dict[tuple[str, str], dict[str, Any]]:
    """As dbt's own loader has them."""
    loaded = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    return {
        (name, output): keys
        for name, profile in loaded.items()
        for output, keys in profile.get("outputs", {}).items()
    }


def rendered(data: bytes, environ: Mapping[str, str]) -> Any:
    """Every output by dbt's rules; a variable without a value or default comes to its own name."""
    return {key: _rendered(value, environ) for key, value in outputs(data).items()}


def _rendered(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _rendered(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, environ) for item in value]
    if not isinstance(value, str) or not is_template(value):
        return value
    expression = parse_expression(value)
    unset = {name: name for name, default in expression.variables if default is None}
    return expression.evaluate({**unset, **environ})


def spelling(data: bytes, name: str, value: str) -> str:
    """A literal as the file has it: itself, or as the default of its variable."""
    default = f'{{{{ env_var("{name}", "{value}") }}}}'
    return default if default.encode() in data else value


def without(data: bytes, parts: tuple[str, ...]) -> str:
    text = data.decode()
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "")
    return text


DBT = """
import json, os, sys
from dbt.clients.yaml_helper import load_yaml_text
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context

set_invocation_context(os.environ)
found = []
for text in json.load(sys.stdin):
    for name, profile in load_yaml_text(text).items():
        for output, keys in (profile.get("outputs") or {}).items():
            found.append([name, output, {key: ProfileRenderer({}).render_data(keys[key]) for key in keys}])
json.dump(found, sys.stdout)
"""
NUMBER = re.compile(r"(?:PORT|THREADS|TIMEOUT|BYTES)$")


@pytest.mark.gate
@pytest.mark.process
def test_dbt_itself_renders_them_as_it_is_done_here(starts_processes: None) -> None:
    if reason := environments.unwanted("dbt-postgres.txt"):
        pytest.skip(reason)
    texts = [path.read_text(encoding="utf-8") for path in CORPUS]
    names = {name for text in texts for name in re.findall(r"""env_var\(\s*(?:var=)?\\?['"]+(\w+)""", text)}
    environ = {name: _value(name) for name in names}
    done = subprocess.run(
        [environments.built("dbt-postgres.txt") / "bin" / "python", "-c", DBT],
        input=json.dumps(texts),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout)
    ours = [[*key, value] for path in CORPUS for key, value in rendered(path.read_bytes(), environ).items()]
    assert len(theirs) > 100
    assert json.loads(json.dumps(ours)) == theirs


def _value(name: str) -> str:
    if name.endswith("JSON"):
        return '{"type": "service_account"}'
    return "7" if NUMBER.search(name) else f"value of {name}"
