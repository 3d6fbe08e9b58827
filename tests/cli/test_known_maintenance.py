"""One-off maintenance that was declared at a daemon, as the commands that probe read it of its history."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.cli import known_maintenance
from floe_monitor.domain.declarations import Declarations, OneOffMaintenance
from floe_monitor.domain.events import DeclarationsChanged
from tests.history.conftest import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}, "labels": {"team": "core"}}
MISSING = {"plugin": "duckdb", "connection": {"path": "gone/x.duckdb", "must_exist": True}}
IMPATIENT = ("--timeout", "500ms", "--interval", "100ms")


def one_off(reason: str, begins_in: float = -60.0, lasts: float = 3600.0, **chosen: Any) -> OneOffMaintenance:
    begins = time.time() + begins_in
    return OneOffMaintenance(reason, begins, begins + lasts, reason, "Anna", "", begins, **chosen)


@pytest.fixture
def declare(place: Path, configure: Callable[..., Path]) -> Callable[..., None]:
    """What a daemon with a history has written of it; of it nothing is left but the file."""

    def write(*declared: OneOffMaintenance) -> None:
        url = f"sqlite:///{place}/history.db"
        configure({"dev": MEMORY, "file": MISSING}, history={"url": url})
        monitor = Monitor(url)
        monitor.recorder.handle(DeclarationsChanged(Declarations(declared)))
        monitor.stop()

    return write


def told(err: str) -> list[str]:
    return [line for line in err.splitlines() if "maintenance" in line]


def test_check_knows_what_was_declared(declare: Any, call: Any) -> None:
    declare(
        one_off("new disks", targets=("file",)),
        one_off("core moves", labels={"team": "core"}),
        one_off("over", begins_in=-7200.0),
        one_off("planned", begins_in=7200.0),
    )
    said = call("check")
    assert said.code == 1, "the verdict is what it would be without"
    assert said.err == ""
    lines = [line for line in said.out.splitlines() if " is in maintenance until 2" in line]
    assert [line.split(" ")[0] for line in lines] == ["dev", "file"]
    assert lines[0].endswith(": core moves")
    report = json.loads(call("check", "--format", "json").out)
    assert {each["target"]: each["maintenance"]["reason"] for each in report["results"]} == {
        "dev": "core moves",
        "file": "new disks",
    }


@pytest.mark.process
def test_wait_and_exec_say_what_was_declared(declare: Any, call: Any) -> None:
    declare(one_off("new disks"))
    said = call("wait", "file", *IMPATIENT)
    assert said.code == 1
    assert [line.endswith(": new disks") for line in told(said.err)] == [True, True]
    said = call("exec", "--target", "file", *IMPATIENT, "--", "true")
    assert said.code == 75
    [line] = told(said.err)
    assert line.startswith("file is in maintenance until 2")
    said = call("exec", "--target", "dev", "--log-format", "json", "--", "false")
    assert said.code == 1, said.err
    [target] = json.loads(said.err.splitlines()[-1])["targets"]
    assert target["maintenance"]["reason"] == "new disks"


def test_a_history_that_nobody_has_begun_is_not_made(configure: Any, call: Any, place: Path) -> None:
    configure({"dev": MEMORY}, history={"url": f"sqlite:///{place}/var/history.db"})
    said = call("check")
    assert (said.code, said.err) == (0, "")
    assert not (place / "var").exists()


def test_what_cannot_be_read_is_told_once(configure: Any, call: Any, place: Path) -> None:
    (place / "history.db").write_bytes(b"no database" * 1000)
    configure({"file": MISSING}, history={"url": f"sqlite:///{place}/history.db"})
    said = call("wait", *IMPATIENT)
    assert said.code == 1
    [line] = told(said.err)
    assert line == "whether maintenance was declared is not known: file is not a database"
    assert (place / "history.db").read_bytes() == b"no database" * 1000


def test_a_server_that_does_not_answer_is_not_waited_for(
    configure: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and says nothing, for longer than the command waits."""
    monkeypatch.setattr(known_maintenance, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://reader@127.0.0.1:{silent.getsockname()[1]}/kept?sslmode=disable"
        configure({"dev": MEMORY}, history={"url": url})
        said = call("check")
    assert said.code == 0
    [line] = told(said.err)
    assert line == "whether maintenance was declared is not known: the history has not answered within 0.2 s"
