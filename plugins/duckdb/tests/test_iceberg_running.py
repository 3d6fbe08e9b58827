"""An Iceberg target over time, and the profile in dbt's own hands."""

from __future__ import annotations

import gc
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml
from floe_monitor_duckdb import DuckDBComputePlugin

from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET
from conformance.polaris_standin import PolarisStandIn
from floe_monitor.compute import ConnectionStatus
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.lakehouse import Lakehouse

pytestmark = pytest.mark.gate

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = int(os.environ.get("FLOE_MONITOR_ICEBERG_ROUNDS", "8"))
"""Probes of the leak test after the first tenth: `FLOE_MONITOR_ICEBERG_ROUNDS=1000` is the full measure."""
DBT = """
import sys
from dbt.cli.main import dbtRunner

for command in ("debug", "run"):
    done = dbtRunner().invoke(["--no-use-colors", command])
    if not done.success:
        sys.exit(f"dbt {command} fails: {done.exception}")
"""
"""Both in one process: importing dbt takes longer than either."""


def target(options: Mapping[str, Any], extensions: str, **keys: Any) -> dict[str, Any]:
    attach = {"path": "iceberg:floe", "alias": "lake", "type": "iceberg", "options": dict(options)}
    return {
        "plugin": "duckdb",
        "connection": {
            "attach": [attach],
            "config_options": {"extension_directory": extensions},
            **keys,
        },
    }


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.timeout(1800 if ROUNDS > 100 else 60)
def test_probes_leave_nothing_behind(extension_directory: str) -> None:
    plugin = DuckDBComputePlugin()
    process = psutil.Process()
    first = max(4, ROUNDS // 10)
    with PolarisStandIn() as polaris:
        config = build_config(plugin, target(polaris.options(), extension_directory))
        before = (0, 0, 0)
        for number in range(ROUNDS):
            assert plugin.validate_connection(config).status is ConnectionStatus.HEALTHY
            if number == first - 1:
                gc.collect()
                before = (process.memory_info().rss, process.num_fds(), process.num_threads())
        gc.collect()
        memory, descriptors, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
        assert polaris.tokens_issued == 1
    print(f"{ROUNDS} probes: {(memory - before[0]) / 2**20:+.1f} MiB after the first {first}, 1 token")
    assert descriptors <= before[1] + 1
    assert threads <= before[2] + 1
    if ROUNDS >= 1000:
        assert abs(memory - before[0]) < 5 * 2**20


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.timeout(420)  # the first run builds dbt's environment
def test_dbt_works_with_the_profile(tmp_path: Path, lakehouse: Lakehouse, extension_directory: str) -> None:
    """`dbt debug` passes, and `dbt run` builds a view over an Iceberg table and a local one."""
    from conformance import environments

    if reason := environments.unwanted("dbt-duckdb.txt"):
        pytest.skip(reason)
    home = os.environ["HOME"]
    os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir  # pip's cache and configuration
    try:
        python = environments.built("dbt-duckdb.txt") / "bin" / "python"
    except subprocess.CalledProcessError:
        pytest.skip("pip finds no package index for requirements/dbt-duckdb.txt")
    finally:
        os.environ["HOME"] = home
    plugin, project = DuckDBComputePlugin(), tmp_path / "project"
    (project / "models").mkdir(parents=True)
    fields = target(
        lakehouse.options(client_id=None, client_secret=None),
        extension_directory,
        path=str(tmp_path / "shop.duckdb"),
        secrets=[lakehouse.storage_secret(secret=None)],
    )
    names = {"lake.client_id": "LAKE_ID", "lake.client_secret": "LAKE_SECRET", "store.secret": "LAKE_SECRET"}
    credentials = {key: f"{{{{ env_var('{name}') }}}}" for key, name in names.items()}
    output = plugin.generate_dbt_profile(build_config(plugin, {**fields, "credentials": credentials}))
    profile = {"shop": {"target": "dev", "outputs": {"dev": output}}}
    (project / "profiles.yml").write_text(yaml.safe_dump(profile))
    (project / "dbt_project.yml").write_text(
        yaml.safe_dump({"name": "shop", "version": "1.0", "config-version": 2, "profile": "shop"})
    )
    models = {
        "local": "{{ config(materialized='table') }} select 1 as id, 'north' as region",
        "joined": "{{ config(materialized='view') }} select o.customer, l.region "
        "from lake.shop.orders o join {{ ref('local') }} l using (id)",
    }
    for name, sql in models.items():
        (project / "models" / f"{name}.sql").write_text(sql)
    done = subprocess.run(
        [str(python), "-c", DBT],
        cwd=project,
        env={
            **os.environ,
            "LAKE_ID": CLIENT_ID,
            "LAKE_SECRET": CLIENT_SECRET,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_VERSION_CHECK": "false",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "All checks passed!" in done.stdout
    assert "PASS=2" in done.stdout


@pytest.mark.usefixtures("packaged_extensions")
@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_one_command_shows_it_all(tmp_path: Path) -> None:
    """What `make run-iceberg` runs, with `check` in the daemon's place, in a shell that has its variables."""
    check = f"{sys.executable} -m floe_monitor check --config {ROOT}/config/iceberg.yaml"
    script = f". {tmp_path}/lakehouse-*/environment && exec {check}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "conformance.lakehouse"),
            *("env", "-i", f"HOME={tmp_path}", "sh", "-c", script),
        ],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 healthy" in done.stdout
    assert f"for another shell: . {tmp_path}/lakehouse-" in done.stderr


@pytest.mark.e2e
def test_an_early_end_leaves_no_server(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "conformance.lakehouse"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    ) as process:
        server = _wait_for_the_server(process.pid, tmp_path)
        process.terminate()
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    assert not list(tmp_path.glob("lakehouse-*"))


def _wait_for_the_server(pid: int, folder: Path) -> psutil.Process:
    """Until it has begun to write its log: it is not ready then."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if any(log.stat().st_size for log in folder.glob("lakehouse-*/data/server.log")):
            return next(each for each in psutil.Process(pid).children() if each.name() == "weed")
        time.sleep(0.01)
    raise AssertionError("the server was not started")
