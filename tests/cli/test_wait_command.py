"""`wait`, for targets that are up, come up and stay down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
MISSING = {"plugin": "duckdb", "connection": {"path": "gone/x.duckdb", "must_exist": True}}
LAB_DEGRADED = {"plugin": "lab", "connection": {"behave": "degraded"}}


def test_wait_until_up(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY, "lab": LAB_DEGRADED, "file": MISSING})
    said = call("wait", "dev", "lab")
    assert said.code == 0
    assert said.out.startswith("up after ")
    said = call("wait", "file", "dev", "--timeout", "800ms", "--interval", "100ms")
    assert said.code == 1
    assert said.err.splitlines()[-1].endswith("s: file")
    assert said.err.count("file: unhealthy") == 1, "what has not changed is not repeated"
    assert call("wait", "dev", "--timeout", "soon").code == 2


def test_wait_sees_a_target_come_up(call: Any, configure: Any, place: Path) -> None:
    import threading

    configure({"file": MISSING})

    def create() -> None:
        import duckdb

        (place / "gone").mkdir()
        duckdb.connect(str(place / "gone/x.duckdb")).close()

    timer = threading.Timer(0.7, create)
    timer.start()
    said = call("wait", "file", "--interval", "100ms", "--timeout", "20s")
    timer.join()
    assert said.code == 0, said
