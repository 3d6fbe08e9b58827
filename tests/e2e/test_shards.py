"""Shards of one configuration: each target on one of them, whatever is reloaded; profiles on the first."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.domain.shards import assigned
from tests.e2e.conftest import LAB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Daemon

    Start = Callable[..., Daemon]

pytestmark = pytest.mark.e2e


def configuration(names: list[str], count: int = 2) -> str:
    targets = "".join(f"  {name}: {{plugin: lab}}\n" for name in names)
    return (
        f"probe: {{interval: 1h}}\nshard: {{index: {{env: POD_NAME}}, count: {count}}}\n"
        f"profiles: [{{name: p, path: profiles.yml}}]\ntargets:\n{targets}"
    )


def watched(daemon: Daemon) -> set[str]:
    return {each["name"] for each in json.loads(daemon.get("/api/v1/targets")[1])["targets"]}


def shows(daemon: Daemon, metric: str, value: float) -> bool:
    return daemon.metric(metric) == value


def status(daemon: Daemon) -> Any:
    return json.loads(daemon.get("/api/v1/status")[1])


@pytest.mark.gate
def test_two_shards_share_the_targets(start_daemon: Start, tmp_path: Path) -> None:
    names = [f"target-{number}" for number in range(12)]
    daemons = [start_daemon(configuration(names), POD_NAME=f"floe-monitor-{index}") for index in range(2)]
    own = [{name for name in names if assigned(name, 2, 1) == (index,)} for index in range(2)]
    assert all(own)
    assert [watched(daemon) for daemon in daemons] == own

    for index, daemon in enumerate(daemons):
        daemon.until(partial(shows, daemon, "floe_monitor_ready", 1))
        assert daemon.metric("floe_monitor_shard_info", shard=str(index), shards="2", replicas="1") == 1
        assert daemon.metric("floe_monitor_configured_targets") == 12
        assert f" of 12 targets of {daemon.config} (shard {index} of 2, each on 1)" in daemon.log.read_text()
    assert status(daemons[1])["shard"] == {
        "index": 1,
        "count": 2,
        "replicas": 1,
        "watched_targets": len(own[1]),
        "configured_targets": 12,
        "keeps_profiles": False,
    }
    assert [list(status(daemon)["profiles"]) for daemon in daemons] == [["p"], []]
    assert all(f"    {name}:" in (tmp_path / "profiles.yml").read_text() for name in names)

    code, said = daemons[0].get(f"/api/v1/targets/{min(own[1])}")
    assert (code, "on this shard 0 of 2: one of that name would be on 1" in said) == (404, True)

    before = [sorted(daemon.metrics().items()) for daemon in daemons]
    daemons[0].config.write_text(configuration([*names, "added"]))
    for index, daemon in enumerate(daemons):
        daemon.until(partial(shows, daemon, "floe_monitor_configured_targets", 13))
        assert watched(daemon) == own[index] | ({"added"} if assigned("added", 2, 1) == (index,) else set())
        for series, value in before[index]:
            if series.startswith("floe_compute_target_validations_total"):
                assert daemon.metrics()[series] == value, "an unchanged target keeps its state"

    # With one shard, the other's ordinal is none any more: it goes on, and says so, until it is stopped.
    daemons[0].config.write_text(configuration(names, count=1))
    daemons[0].until(lambda: watched(daemons[0]) == set(names))
    daemons[1].until(lambda: daemons[1].metric("floe_monitor_config_last_reload_successful") == 0)
    [problem] = status(daemons[1])["configuration"]["problems"]
    assert "floe-monitor.yaml:2:9: shard.index: the ordinal in the environment variable POD_NAME" in problem


@pytest.mark.process
def test_without_its_ordinal_a_shard_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "floe-monitor.yaml").write_text(configuration(["a"]))
    done = subprocess.run(
        [sys.executable, "-m", "floe_monitor", "run"],
        cwd=tmp_path, env={"PYTHONPATH": str(LAB), "PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "shard.index: the environment variable POD_NAME is not set; give shard.index" in done.stderr
    assert done.stdout == ""
