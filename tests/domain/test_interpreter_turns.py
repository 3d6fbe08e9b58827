"""Threads that compute wait for each other where they can, and nobody for ever."""

from __future__ import annotations

import threading
import time

import pytest

from floe_monitor.domain import interpreter_turns
from floe_monitor.domain.interpreter_turns import Breaks, InterpreterTurns


def test_one_that_can_wait_comes_after_the_others() -> None:
    turns = InterpreterTurns()
    order: list[str] = []
    asked = threading.Event()

    def export() -> None:
        asked.set()
        with turns.take(patience=60):
            order.append("export")

    with turns.take():
        waiting = threading.Thread(target=export)
        waiting.start()
        assert asked.wait(60)
        with turns.take():  # a second scrape waits for nobody
            order.append("scrape")
        time.sleep(0.05)
        order.append("page")
    waiting.join(60)
    assert order == ["scrape", "page", "export"]


def test_it_waits_no_longer_than_its_patience() -> None:
    turns = InterpreterTurns()
    with turns.take(), turns.take(patience=0.01):
        pass


def test_a_turn_that_fails_is_over() -> None:
    turns = InterpreterTurns()
    with pytest.raises(ValueError, match="as it happens"), turns.take():
        raise ValueError("as it happens")
    started = time.monotonic()
    with turns.take(patience=60):
        assert time.monotonic() - started < 30


def test_breaks_are_short_and_as_often_as_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = 0.0, []

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            return now

        @staticmethod
        def sleep(seconds: float) -> None:
            slept.append((now, seconds))

    monkeypatch.setattr(interpreter_turns, "time", Clock)
    breaks = Breaks()
    for _ in range(100):
        now += interpreter_turns.EVERY / 10
        breaks.take_if_due()
    assert {seconds for _, seconds in slept} == {interpreter_turns.BREAK}
    assert 8 <= len(slept) <= 10
