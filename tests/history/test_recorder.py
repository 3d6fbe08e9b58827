"""Whatever is wrong with the database is told once, never raised, and recording goes on when it is over."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from floe_monitor.history import recorder as recorder_module
from floe_monitor.history.sqlite_file import BALLAST_BYTES
from tests.harness.polling import settled

from .conftest import UNHEALTHY, Monitor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "floe_monitor.history"]


def test_the_thread_writes_each_second_and_the_rest_at_the_end(monitor: Monitor) -> None:
    monitor.recorder.start()
    monitor.probe("a")
    settled(lambda: Path(monitor.url.removeprefix("sqlite:///")).exists() and written(monitor) == 1)
    monitor.probe("a", UNHEALTHY)
    monitor.recorder.close(60)
    assert written(monitor) == 2
    assert monitor.recorder.saved_state.done()
    assert monitor.dropped == 0


def written(monitor: Monitor) -> int:
    """0 until the tables are there."""
    tables = monitor.rows("SELECT name FROM sqlite_master WHERE name = 'results'")
    return monitor.count("results") if tables else 0


def test_files_are_the_owners_alone(monitor: Monitor, file: Path) -> None:
    monitor.probe("a")
    monitor.turn()
    assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_inner_page_is_found_and_a_new_file_begun(
    monitor: Monitor, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3000):
        monitor.probe(f"t{number % 7}", after=1)
    monitor.stop()
    content = bytearray(file.read_bytes())
    page = len(content) - 3 * 4096  # of results, which nothing reads when it is opened
    content[page : page + 600] = b"\xff" * 600
    file.write_bytes(content)
    monitor.begin_anew()
    monitor.probe("a")
    monitor.turn()
    monitor.turn()
    assert any("kept as history.db.corrupt, and a new one is begun" in each for each in said(caplog))
    assert said(caplog)[-1] == "the history is written again"
    assert monitor.count("results") == 1, "what was to be written is in the new one"
    assert file.with_name("history.db.corrupt").read_bytes()[4096:] == content[4096:], (
        "for whoever can mend it"
    )
    assert monitor.dropped == 0


@pytest.mark.parametrize("content", [b"dear diary\n" * 500, b"PK\x03\x04" + bytes(5000)])
def test_a_file_of_somebody_elses_is_left_as_it_is(
    monitor: Monitor, file: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file.write_bytes(content)
    for _ in range(3):
        monitor.probe("a")
        monitor.turn()
    assert file.read_bytes() == content
    (told,) = said(caplog)
    assert "is no history of floe-monitor, and is left as it is" in told
    assert "history.url another name" in monitor.state.history_problem
    assert monitor.recorder.saved_state.done(), "no probe waits for it"


def test_another_programs_database_is_left_as_it_is(monitor: Monitor, file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE results (precious)")
    other.close()
    before = file.read_bytes()
    monitor.probe("a")
    monitor.turn()
    assert "is no history of floe-monitor" in monitor.state.history_problem
    assert file.read_bytes() == before


def test_our_file_with_a_damaged_beginning_is_set_aside(monitor: Monitor, file: Path) -> None:
    monitor.probe("a")
    monitor.stop()
    content = file.read_bytes()
    file.write_bytes(b"x" * 16 + content[16:])
    monitor.begin_anew()
    monitor.probe("a")
    monitor.turn()
    monitor.turn()
    assert monitor.count("results") == 1


def test_an_empty_file_is_a_new_one(monitor: Monitor, file: Path) -> None:
    file.touch()
    monitor.probe("a")
    monitor.turn()
    assert monitor.count("results") == 1


def test_a_newer_version_is_told_and_its_tables_left(
    monitor: Monitor, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.probe("a")
    monitor.stop()
    with sqlite3.connect(file) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    monitor.begin_anew()
    monitor.probe("a")
    monitor.turn()
    monitor.turn()
    (told,) = said(caplog)
    assert "newer version" in told
    assert monitor.count("results") == 1


@pytest.mark.parametrize("url", ["sqlite:////proc/none/history.db", "sqlite:////dev/null/history.db"])
def test_no_writable_directory_is_said_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Monitor(url)
    for _ in range(5):
        nowhere.probe("a")
        nowhere.turn()
    (told,) = said(caplog)
    assert told.startswith("the history is not written: /")
    assert nowhere.dropped == 0, "what waits has room"


def test_what_waits_is_bounded_and_what_is_dropped_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "BUFFERED", 100)
    nowhere = Monitor("sqlite:////proc/none/history.db")
    for _ in range(150):
        nowhere.probe("a")
    nowhere.turn()
    for _ in range(150):
        nowhere.probe("a")
    nowhere.turn()
    assert len(nowhere.recorder._waiting) <= 100
    assert nowhere.dropped + len(nowhere.recorder._waiting) == 301, "300 results and the first change"


def test_a_directory_that_appears_is_used(tmp_path: Path) -> None:
    blocked = tmp_path / "var"
    blocked.write_text("in the way")
    later = Monitor(f"sqlite:///{blocked}/history.db")
    later.probe("a")
    later.turn()
    assert later.state.history_problem
    blocked.unlink()
    later.turn()
    assert later.count("results") == 1
    assert later.state.history_problem == ""
    later.stop()


def test_a_file_that_is_deleted_is_begun_anew(
    monitor: Monitor, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.probe("a")
    monitor.turn()
    file.unlink()
    monitor.probe("a")
    monitor.turn()
    monitor.recorder._looked_at = 0.0  # a minute later
    monitor.turn()
    monitor.probe("a")
    monitor.turn()
    assert any("was deleted or replaced" in each for each in said(caplog))
    assert monitor.count("results") == 1


def test_a_second_process_may_not_write(monitor: Monitor) -> None:
    monitor.probe("a")
    monitor.turn()
    second = Monitor(monitor.url)
    second.at = monitor.at
    second.probe("a")
    second.turn()
    assert "another floe-monitor writes it" in second.state.history_problem
    monitor.stop()
    second.turn()
    assert second.count("results") == 2
    second.stop()


def test_a_reader_in_the_middle_of_its_work_stops_no_writer(monitor: Monitor, file: Path) -> None:
    monitor.probe("a")
    monitor.turn()
    with sqlite3.connect(file) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM results").fetchone() == (1,)
        for _ in range(20):
            monitor.probe("a")
            monitor.turn()
        assert reader.execute("SELECT count(*) FROM results").fetchone() == (1,)
    reader.close()
    assert monitor.count("results") == 21


def test_an_address_that_is_missing_names_its_variable() -> None:
    nowhere = Monitor("sqlite:///x")
    nowhere.settings = nowhere.settings.model_validate({"url": {"env": "HISTORY_URL"}})
    nowhere.begin_anew()
    nowhere.turn()
    assert "environment variable HISTORY_URL is not set" in nowhere.state.history_problem


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    nowhere = Monitor("postgresql://u:canary-secret@127.0.0.1:1/d")
    nowhere.probe("a")
    nowhere.turn()
    assert "refused" in nowhere.state.history_problem
    assert "canary" not in nowhere.state.history_problem


def test_the_ballast_is_larger_than_the_log_can_grow() -> None:
    from floe_monitor.history.database import AUTO_CHECKPOINT

    assert BALLAST_BYTES > 2 * AUTO_CHECKPOINT * 4096
