"""The examples for orchestrators, in real ones, before a real daemon and a real dbt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from conformance import environments
from conformance.dbt import ENVIRONMENT
from tests.harness.polling import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Daemon

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

EXAMPLES = Path(__file__).parents[2] / "deploy" / "orchestrators"
SECONDS = 600.0
"""For what takes ten where nothing else runs."""


@pytest.fixture(scope="module")
def programs(starts_processes: None) -> dict[str, Path]:
    """Environments by the name of their locks."""
    found = {}
    for lock in ("airflow", "dagster", "dbt-duckdb"):
        if reason := environments.unwanted(f"{lock}.txt"):
            pytest.skip(reason)
        found[lock] = environments.built(f"{lock}.txt")
    return found


class Platform:
    """A DuckDB file that is not there yet, the daemon that watches it, and a dbt project for it."""

    def __init__(self, folder: Path, daemon: Daemon, dbt: Path) -> None:
        self.folder, self.daemon = folder, daemon
        self.warehouse = folder / "warehouse.duckdb"
        self.model = folder / "project" / "models" / "orders.sql"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLOE_")},
            **ENVIRONMENT,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(dbt / "bin"), os.environ["PATH"]]),
            "DBT_PROJECT_DIR": str(folder / "project"),
            "DBT_PROFILES_DIR": str(folder),
            "FLOE_MONITOR_CONFIG": str(daemon.config),
            "FLOE_GATE_URL": daemon.url,
            "FLOE_GATE_POLL_SECONDS": "0.5",
        }

    def is_open(self) -> bool:
        return self.daemon.get("/api/v1/gate?targets=warehouse&max_age=5m")[0] == 200

    def make_usable(self) -> None:
        duckdb.connect(str(self.warehouse)).close()

    def built(self) -> dict[str, str]:
        """What dbt came to with each model."""
        path = self.folder / "project" / "target" / "run_results.json"
        results = json.loads(path.read_text())["results"] if path.exists() else []
        return {each["unique_id"].rpartition(".")[2]: each["status"] for each in results}


@pytest.fixture
def platform(
    start_daemon: Callable[..., Daemon], programs: dict[str, Path], tmp_path: Path
) -> Iterator[Platform]:
    models = tmp_path / "project" / "models"
    models.mkdir(parents=True)
    (models / "orders.sql").write_text("select 1 as id")
    (models / "customers.sql").write_text("select id from {{ ref('orders') }}")
    (models.parent / "dbt_project.yml").write_text(
        yaml.safe_dump({"name": "shop", "version": "1.0", "profile": "shop", "config-version": 2})
    )
    target = {"path": str(tmp_path / "warehouse.duckdb"), "must_exist": True}
    daemon = start_daemon(
        yaml.safe_dump(
            {
                "probe": {"interval": "500ms", "timeout": "30s"},
                "targets": {"warehouse": {"plugin": "duckdb", "connection": target}},
                "profiles": [{"name": "shop", "path": "profiles.yml", "target": "warehouse"}],
            }
        )
    )
    made = Platform(tmp_path, daemon, programs["dbt-duckdb"])
    settled(lambda: daemon.get("/readyz")[0] == 200, seconds=SECONDS)
    assert not made.is_open()
    yield made
    assert daemon.stop() == 0


# ---------------------------------------------------------------- Airflow


@pytest.fixture
def airflow(platform: Platform, programs: dict[str, Path], tmp_path: Path) -> Path:
    """The program, with a database of its own and the example among its DAGs."""
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    shutil.copy(EXAMPLES / "airflow_dag.py", home / "dags")
    platform.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    program = programs["airflow"] / "bin" / "airflow"
    done = subprocess.run(
        [program, "db", "migrate"],
        env=platform.environ, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return program


def test_airflow_waits_for_the_gate_and_builds(platform: Platform, airflow: Path, tmp_path: Path) -> None:
    log = tmp_path / "airflow.log"
    with log.open("w") as output:
        running = subprocess.Popen(
            [airflow, "dags", "test", "dbt_behind_gate"],
            stdout=output, stderr=subprocess.STDOUT, env=platform.environ,
        )  # fmt: skip
    try:
        settled(lambda: "does not exist" in log.read_text() or running.poll() is not None, seconds=SECONDS)
        assert running.poll() is None, log.read_text()
        assert not platform.built(), "dbt is held back"
        platform.make_usable()
        assert running.wait(SECONDS) == 0, log.read_text()
    finally:
        running.kill()
        running.wait()
    assert platform.built() == {"orders": "success", "customers": "success"}
    assert '"outcome":"succeeded"' in log.read_text()


# ---------------------------------------------------------------- Dagster

ASK = """
import json, sys
import dagster as dg
import dagster_definitions as example

found = {}
with dg.DagsterInstance.ephemeral() as instance:
    for step in sys.argv[1:]:
        if step == "tick":
            with dg.build_sensor_context(instance=instance) as context:
                found[step] = repr(example.gate(context))
            continue
        result = example.defs.resolve_job_def("dbt_job").execute_in_process(
            instance=instance, raise_on_error=False
        )
        events = [event for event in result.all_events if event.event_type_value.startswith("STEP_")]
        found[step] = [event.event_type_value for event in events]
        found["messages"] = [str(event.event_specific_data) for event in events]
print(json.dumps(found))
"""


def asked(platform: Platform, dagster: Path, *steps: str) -> Any:
    done = subprocess.run(
        [dagster / "bin" / "python", "-c", ASK, *steps],
        cwd=EXAMPLES, env={**platform.environ, "DAGSTER_HOME": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_dagster_waits_for_the_gate_builds_and_blames_the_right_one(
    platform: Platform, programs: dict[str, Path]
) -> None:
    dagster = programs["dagster"]
    closed = asked(platform, dagster, "tick")
    assert "SkipReason" in closed["tick"]
    assert "does not exist" in closed["tick"]
    assert not platform.built()

    platform.make_usable()
    settled(platform.is_open, seconds=SECONDS)
    found = asked(platform, dagster, "tick", "run")
    assert "RunRequest" in found["tick"]
    assert found["run"] == ["STEP_START", "STEP_OUTPUT", "STEP_SUCCESS"], found
    assert platform.built() == {"orders": "success", "customers": "success"}

    # What is no fault of the engine is not tried again.
    platform.model.write_text("select nothing from nowhere")
    found = asked(platform, dagster, "run")
    assert found["run"] == ["STEP_START", "STEP_FAILURE"]
    assert '"engine_status":"healthy"' in " ".join(found["messages"])
