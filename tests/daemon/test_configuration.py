"""What one reading of the configuration keeps: all targets beside the profiles, elsewhere the shard's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from floe_monitor.daemon.configuration import read_configuration
from floe_monitor.domain.shards import assigned
from floe_monitor.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 4
NAMES = [f"target-{number}" for number in range(40)]
ON = {name: assigned(name, COUNT, 1)[0] for name in NAMES}
MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(*profiles: str, **targets: Any) -> Path:
        path = tmp_path / "floe-monitor.yaml"
        content = {
            "shard": {"index": {"env": "ORDINAL"}, "count": COUNT},
            "profiles": [{"name": name, "path": f"{name}.yml"} for name in profiles],
            "targets": {**dict.fromkeys(NAMES, MEMORY), **targets},
        }
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize("profiles", [(), ("shop",)], ids=["no profiles", "profiles"])
def test_a_shard_keeps_its_own_targets_and_knows_how_many_there_are(
    written: Callable[..., Path], profiles: tuple[str, ...]
) -> None:
    for index in range(COUNT):
        read = read_configuration(written(*profiles), {"ORDINAL": str(index)})
        own = {name for name in NAMES if ON[name] == index}
        every = bool(profiles) and index == 0
        assert 0 < len(own) < len(NAMES)
        assert read.watched.keys() == own
        assert read.configured == len(NAMES)
        assert read.targets.keys() == (set(NAMES) if every else own), "shard 0 keeps the profiles"
        assert read.loaded.settings.targets.keys() == (set(NAMES) if every else set())
        assert all(target.settings.connection == MEMORY["connection"] for target in read.watched.values())


def test_what_is_wrong_with_another_shards_target_is_found(written: Callable[..., Path]) -> None:
    name = next(name for name in NAMES if ON[name] == 2)
    wrong = written(**{name: {"plugin": "duckdb", "connection": {"pth": ":memory:"}}})
    for index in (0, 1, 2):
        with pytest.raises(ConfigurationError, match="pth"):
            read_configuration(wrong, {"ORDINAL": str(index)})


def test_secrets_of_another_shards_targets_are_withheld_too(written: Callable[..., Path]) -> None:
    name = next(name for name in NAMES if ON[name] == 2)
    server = {"host": "127.0.0.1", "dbname": "d", "user": "u", "schema": "s"}
    credentials = {"password": {"env": "OTHERS_PASSWORD"}}
    path = written(**{name: {"plugin": "postgres", "connection": server, "credentials": credentials}})
    read = read_configuration(path, {"ORDINAL": "1"})
    assert all("OTHERS_PASSWORD" in target.withheld for target in read.watched.values())
