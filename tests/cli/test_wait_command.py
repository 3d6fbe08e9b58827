"""`wait`, for targets that are up, come up and stay down."""

from __future__ import annotations

import re
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


def test_wait_for_the_outputs_of_a_profiles_file(call: Any, place: Path) -> None:
    outputs = 'outputs: {dev: {type: duckdb, path: ":memory:"}, old: {type: oracle}}'
    lost = "outputs: {gone: {type: duckdb, path: gone/x.duckdb, access_mode: read_only}}"
    (place / "p.yml").write_text(f"shop: {{{outputs}}}\nstore: {{{lost}}}\n")
    said = call("wait", "--profiles", "p.yml", "--profile", "shop")
    assert said.code == 0
    assert said.out.startswith("up after ")
    assert "not checked: profile shop, output old: " in said.err
    assert call("wait", "--profiles", "p.yml", "dev", "old", "--timeout", "60s").code == 1
    said = call("wait", "--profiles", "p.yml", "--timeout", "500ms", "--interval", "100ms")
    assert said.code == 1
    # A busy machine may not have come to the other by then.
    assert re.search(r" s: (dev, )?gone$", said.err.splitlines()[-1])


def test_wait_says_that_it_waits_for_what_is_in_maintenance(call: Any, configure: Any) -> None:
    always = {"cron": "* * * * *", "duration": "1h", "reason": "storage is moved"}
    configure({"dev": MEMORY, "file": {**MISSING, "maintenance": [always]}})
    said = call("wait", "--timeout", "500ms", "--interval", "100ms")
    assert said.code == 1
    first, *_, last = said.err.splitlines()
    assert first.startswith("file is in maintenance until 2")
    assert last.startswith("file is in maintenance until 2")
