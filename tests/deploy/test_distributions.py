"""`make dist`: what its files name, and an installation from them alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conformance import environments
from deploy import bill_of_materials, distributions
from tests.harness.locked import needs_locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINES = (
    "bigquery", "clickhouse", "databricks", "duckdb", "postgres", "redshift", "snowflake", "spark", "trino"
)  # fmt: skip
DRIVERS = {
    "bigquery": {"google-auth"},
    "clickhouse": set(),
    "databricks": set(),
    "duckdb": {"duckdb", "duckdb-extension-avro", "duckdb-extension-httpfs", "duckdb-extension-iceberg"},
    "postgres": {"psycopg", "psycopg-binary"},
    "redshift": set(),
    "snowflake": {"snowflake-connector-python"},
    "spark": {"pyhive", "thrift", "pure-sasl", "thrift-sasl"},
    "trino": set(),
}


def test_there_is_a_plugin_of_each_engine() -> None:
    assert tuple(distributions.plugins()) == ENGINES


@pytest.mark.parametrize(
    "engine", [pytest.param(engine, marks=needs_locked(*DRIVERS[engine])) for engine in ENGINES]
)
def test_an_engines_file_has_all_it_needs_with_hashes_and_no_other_engine(engine: str) -> None:
    pins = distributions.read_lock(distributions.LOCK)
    names = distributions.needed(engine, pins)
    assert DRIVERS[engine] <= set(names)
    others = set().union(*(drivers for other, drivers in DRIVERS.items() if other != engine))
    assert not others & set(names)
    assert not {"pytest", "ruff", "hatchling", "pyarrow"} & set(names), "what the tests need, or few users"
    assert {"alembic", "sqlalchemy"} <= set(names), "a history may be asked for"
    text = distributions.requirements(engine, [])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.match(r"[\w.\[\],-]+==\S+|    --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert "://" not in text
    for name in (name for name in names if f"{name}==" in text):
        for each in map(Requirement, metadata.requires(name) or ()) if _is_here(name) else ():
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                assert canonicalize_name(each.name) in names, f"{name} needs {each}"


@needs_locked("grpcio", "opentelemetry-exporter-otlp-proto-grpc")
def test_an_extra_has_a_file_of_what_it_adds() -> None:
    pins = distributions.read_lock(distributions.LOCK)
    added = distributions.needed("otlp-grpc", pins)
    assert {"grpcio", "opentelemetry-exporter-otlp-proto-grpc"} <= set(added)
    for engine in ENGINES:
        assert "grpcio" not in distributions.needed(engine, pins), "export over HTTP does without"
    assert "apprise" in distributions.needed("notifications", pins)
    text = distributions.requirements("otlp-grpc", [])
    assert "What the extra otlp-grpc adds" in text.splitlines()[0]
    assert "floe-monitor==" not in text


def _unmet(venv: Path) -> Iterator[str]:
    """Read from the metadata, as `pip check` does, whose words and settings differ between machines."""
    places = [str(path) for path in venv.glob("lib/python*/site-packages")]
    installed = {canonicalize_name(each.name): each for each in metadata.distributions(path=places)}
    assert {"floe-monitor", "duckdb", "psycopg"} <= set(installed)
    for name, distribution in installed.items():
        for needed in map(Requirement, distribution.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                found = installed.get(canonicalize_name(needed.name))
                if found is None or not needed.specifier.contains(found.version, prereleases=True):
                    yield f"{name} needs {needed}, which is {found and found.version}"


def _is_here(name: str) -> bool:
    """Some are for other systems only."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.process
@pytest.mark.slow
def test_the_monitors_wheel_has_its_files_and_no_others(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "wheel", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(distributions.ROOT)]
    subprocess.run([*pip, *options], check=True, timeout=120)
    [wheel] = tmp_path.glob("floe_monitor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packaged = {name for name in archive.namelist() if ".dist-info/" not in name}
    written = {
        str(path.relative_to(distributions.ROOT))
        for path in (distributions.ROOT / "floe_monitor").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == written
    assert "floe_monitor/py.typed" in packaged


@pytest.mark.gate
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_builds_are_the_same_to_the_byte(tmp_path: Path) -> None:
    """Under another umask, in another zone, and whatever time is asked for."""
    first, second = tmp_path / "first", tmp_path / "second"
    distributions.build(first)
    code = f"import os; os.umask(0o077); from deploy.distributions import *; build(Path({str(second)!r}))"
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], cwd=distributions.ROOT, env=environ, check=True, timeout=300)
    names = {path.name for path in first.iterdir()}
    assert {f"{kind}s": sum(name.endswith(kind) for name in names) for kind in (".whl", ".tar.gz")} == {
        ".whls": 1 + len(ENGINES), ".tar.gzs": 1 + len(ENGINES)
    }  # fmt: skip
    assert names == {path.name for path in second.iterdir()}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=second, check=False
    )
    assert checked.returncode == 0
    assert len((second / "SHA256SUMS").read_text().splitlines()) == len(names) - 1


@pytest.mark.gate
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_bill_of_materials_has_all_that_is_installed(tmp_path: Path) -> None:
    if reason := environments.unwanted("release.txt"):
        pytest.skip(reason)
    dist = tmp_path / "dist"
    distributions.build(dist)
    made = bill_of_materials.bill(dist, "trino")
    named: dict[str, Any] = {str(canonicalize_name(each["name"])): each for each in made["components"]}
    wanted = set(
        re.findall(
            r"^([a-z0-9.-]+)(?:\[[^\]]*\])?==", (dist / "requirements-trino.txt").read_text(), re.MULTILINE
        )
    )
    here = {name for name in wanted if name.startswith("floe-monitor") or _is_here(name)}
    assert {"floe-monitor", "floe-monitor-trino", "pydantic"} <= here <= named.keys()
    assert made["bomFormat"] == "CycloneDX"
    assert named["pydantic"]["version"] == metadata.version("pydantic")
    needs = {each["ref"]: each.get("dependsOn", []) for each in made["dependencies"]}
    assert named["pydantic"]["bom-ref"] in needs[named["floe-monitor"]["bom-ref"]]
    assert sum("licenses" in each for each in named.values()) >= 0.9 * len(named)
    assert str(tmp_path) not in str(made)


@pytest.mark.gate
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheels_are_installed_with_two_engines_and_probe(tmp_path: Path) -> None:
    """The commands of docs/installation.md, in an environment that knows nothing of this directory."""
    dist, venv = tmp_path / "dist", tmp_path / "venv"
    distributions.build(dist)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=300)
    pip = [str(venv / "bin" / "pip"), "--disable-pip-version-check"]
    files = [f"-r{dist}/requirements-{engine}.txt" for engine in ("duckdb", "postgres")]
    installing = [*pip, "install", "-q", "--no-deps", "--require-hashes", f"--find-links={dist}", *files]
    done = subprocess.run(installing, capture_output=True, text=True, timeout=800, check=False)
    if "No matching distribution found for annotated" in done.stderr:
        pytest.skip("pip finds no package index")
    assert done.returncode == 0, done.stderr
    assert not list(_unmet(venv)), "pip resolved nothing, so the files must"
    server = {"host": "127.0.0.1", "port": 1, "dbname": "d", "user": "u", "schema": "s"}
    targets = {
        "dev": {"plugin": "duckdb", "connection": {"path": ":memory:"}},
        "pg": {"plugin": "postgres", "connection": server},
    }
    history = {"url": f"sqlite:///{tmp_path}/history.db"}
    (tmp_path / "floe-monitor.yaml").write_text(yaml.safe_dump({"targets": targets, "history": history}))
    said = subprocess.run(
        [venv / "bin" / "floe-monitor", "check"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert said.returncode == 1, said.stderr
    assert re.search(r"^dev +✓ healthy", said.stdout, re.MULTILINE), said.stdout
    assert re.search(r"^pg +✕ unhealthy .*Connection refused \(connection\)", said.stdout, re.MULTILINE)
    kept = subprocess.run(
        [venv / "bin" / "floe-monitor", "history"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "there is no history yet" in kept.stderr, "the extra is installed"
