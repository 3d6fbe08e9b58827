"""This version goes on from the state of a former one: its record, and the locks of a daemon that was killed.

`0.1.0` is what that version wrote: a daemon that kept a profile beside an output of somebody else's, and was
killed. A release adds its own directory and changes none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "profiles.yml").is_file())
RECORD = ".profiles.yml.floe-monitor.record.json"

pytestmark = [pytest.mark.process, pytest.mark.gate]


@pytest.fixture(params=VERSIONS)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / request.param, tmp_path / "state"))


def floe_monitor(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLOE_MONITOR_")}
    return subprocess.run(
        [sys.executable, "-m", "floe_monitor", *words],
        cwd=state, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def configure(state: Path, *gone: str) -> None:
    path = state / "floe-monitor.yaml"
    document = yaml.safe_load(path.read_text())
    for name in gone:
        del document["targets"][name]
    path.write_text(yaml.safe_dump(document))


def outputs(state: Path) -> set[str]:
    return set(yaml.safe_load((state / "profiles.yml").read_text())["shop"]["outputs"])


def test_there_is_a_state_of_the_first_version() -> None:
    assert "0.1.0" in VERSIONS
    assert list((HERE / "0.1.0").glob(".profiles.yml.floe-monitor.*.owner")), (
        "a killed daemon leaves its lock"
    )


def test_the_same_configuration_changes_nothing(state: Path) -> None:
    before = (state / "profiles.yml").read_bytes()
    done = floe_monitor(state, "profiles", "diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert floe_monitor(state, "profiles", "write").returncode == 0
    assert (state / "profiles.yml").read_bytes() == before
    assert len(list(state.glob("*.before-floe-monitor*"))) == 1, "no second copy"


def test_what_it_wrote_is_removed_and_what_it_did_not_stays(state: Path) -> None:
    configure(state, "old")
    done = floe_monitor(state, "profiles", "write")
    assert done.returncode == 0, done.stderr
    assert outputs(state) == {"own", "dev"}


def test_a_record_of_a_later_version_permits_nothing(state: Path) -> None:
    """The way back: the older version leaves what it cannot know."""
    record = json.loads((state / RECORD).read_text())
    (state / RECORD).write_text(json.dumps({**record, "version": 999}))
    configure(state, "old")
    done = floe_monitor(state, "profiles", "write")
    assert done.returncode == 0, done.stderr
    assert outputs(state) == {"own", "dev", "old"}
    assert "counts for nothing" in done.stdout + done.stderr
