"""One process writes a file: a second one is told so until the first gives up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from floe_monitor.domain.writer_lock import WriterLock

if TYPE_CHECKING:
    from pathlib import Path


def test_one_at_a_time_has_it(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path / "rows.db"), WriterLock(tmp_path / "rows.db")
    assert first.take()
    assert first.take()
    assert not second.take()
    first.give_up()
    first.give_up()
    assert second.take()
    second.give_up()


@pytest.mark.process
def test_a_forked_child_keeps_nothing(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path / "rows.db"), WriterLock(tmp_path / "rows.db")
    assert first.take()
    going, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(going, 1)
        os._exit(0)
    os.close(going)
    first.give_up()
    try:
        assert second.take()
    finally:
        os.close(go)
        os.waitpid(child, 0)
        second.give_up()


def test_no_directory_to_lock_in(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WriterLock(tmp_path / "gone" / "rows.db").take()
