"""Several processes on one file: killed ones, owners, neighbours."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import yaml

from floe_monitor.profiles.record import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.gate, pytest.mark.process]

WRITER = Path(__file__).with_name("writer.py")
FOREIGN = "# a neighbour\nshop: {target: prod, outputs: {prod: {type: postgres}}}  # kept\n"
BY_HAND = "ours:\n  target: mine\n  outputs:\n    mine: {type: hand}  # by hand\n"


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, str(WRITER), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        with child:
            try:
                yield child
            finally:
                child.kill()
    finally:
        child.wait(60)


def say(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


class Reader:
    """Reads the file as fast as it can from its own thread and keeps every version it saw."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads = 0
        self.versions: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _work(self) -> None:
        while not self._stop.is_set():
            self.versions.add(self.path.read_bytes())
            self.reads += 1
            time.sleep(0.0005)


@pytest.mark.slow
@pytest.mark.timeout(180)  # it takes ten seconds, but for a machine that stands still meanwhile
@pytest.mark.parametrize("rewrites", [100, pytest.param(500, marks=pytest.mark.gate)])
def test_no_reader_ever_sees_half_a_file_however_writers_die(tmp_path: Path, rewrites: int) -> None:
    path = tmp_path / "profiles.yml"
    before = FOREIGN + BY_HAND
    path.write_text(before)
    chance = random.Random(7)
    written = kills = torn = 0
    with Reader(path) as reader, process("rewrite", path) as nursery:
        while written < rewrites:
            say(nursery)
            child = int(line(nursery).removeprefix("begun "))
            for _ in range(chance.randint(0, 8)):
                written += line(nursery).startswith("written")
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            kills += 1
            while (said := line(nursery)) != "gone":
                assert said.startswith(("written", "unchanged")), said
                written += said.startswith("written")
            torn += any(tmp_path.glob(".*.tmp"))
        versions = {version.decode() for version in reader.versions} - {before}
        markers = [yaml.safe_load(text)["ours"]["outputs"]["dev"]["marker"] for text in versions]
        assert sorted(markers) == ["a", "b"]
        assert all(text.startswith(before) for text in versions)
        assert kills >= rewrites / 10
        assert torn or rewrites < 500, "no writer died in the act"
        assert reader.reads > rewrites
        say(nursery)
        assert {line(nursery).split()[0] for _ in range(3)} >= {"begun", "written"}
    assert len(list(tmp_path.glob(".*.tmp"))) <= 1, "the next writer sweeps what killed ones left"
    copies = [copy.read_text() for copy in tmp_path.glob("*.before-floe-monitor*")]
    assert before in copies
    assert set(yaml.safe_load(path.read_text())["ours"]["outputs"]) == {"mine", "dev"}


def test_writers_of_different_profiles_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "profiles.yml"
    path.write_text(FOREIGN)
    times = 25
    with process("compete", path, "one", times) as one, process("compete", path, "two", times) as two:
        for child in (one, two):
            assert child.wait(40) == 0, line(child)
    profiles = yaml.safe_load(path.read_text())
    assert set(read_record(path).profiles) == {"one", "two"}
    assert path.with_name("profiles.yml.before-floe-monitor").read_text() == FOREIGN
    assert next(iter(profiles)) == "shop"
    assert path.read_text().startswith(FOREIGN)
    for name in ("one", "two"):
        assert profiles[name]["outputs"]["dev"]["marker"] == str(times - 1)


def test_the_second_daemon_stands_by_and_takes_over(tmp_path: Path) -> None:
    path = tmp_path / "profiles.yml"
    with process("keep", path, "first") as first:
        assert line(first) == "written"
        with process("keep", path, "second") as second:
            said = line(second)
            assert re.fullmatch(
                rf"foreign_owner kept by process {first.pid} on \S+ since \S+; standing by", said
            )
            before = path.stat()
            time.sleep(1.0)  # several of the second one's turns
            assert path.stat().st_mtime_ns == before.st_mtime_ns, "two daemons do not fight"
            first.kill()
            first.wait(60)
            assert line(second) == "written"
            assert yaml.safe_load(path.read_text())["ours"]["outputs"]["dev"]["marker"] == "second"
            say(second)
            assert second.wait(60) == 0
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == [".profiles.yml.floe-monitor.record.json", "profiles.yml"], (
        "an orderly stop leaves no lock"
    )
