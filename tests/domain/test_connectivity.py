"""Whether the monitor is cut off, held against a plain look at the last result of each target."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import CheckResult, ConnectionStatus
from floe_monitor.domain.connectivity import (
    DOUBT_SECONDS,
    NETWORK_CHECK,
    Connectivity,
    ReachJudge,
    is_reached,
)
from floe_monitor.domain.events import ProbeResult

H, U = ConnectionStatus.HEALTHY, ConnectionStatus.UNHEALTHY


def result(name: str, reached: bool | None, status: ConnectionStatus | None = None) -> ProbeResult:
    checks = () if reached is None else (CheckResult(NETWORK_CHECK, H if reached else U),)
    return ProbeResult(name, "lab", status or (U if reached is False else H), 0.1, 0.0, "c", checks=checks)


class Noting(ReachJudge):
    """With the server of each target."""

    def __init__(self, hosts: dict[str, str]) -> None:
        super().__init__()
        self._hosts = hosts

    def found(self, name: str, reached: bool | None, now: float) -> None:
        self.note(result(name, reached), self._hosts[name], now)


names = st.sampled_from("abcde")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("result"), names, st.sampled_from([True, False, None])),
        st.tuples(st.just("reload"), st.frozensets(names), st.frozensets(names)),
    ),
    max_size=60,
)


@given(steps, st.dictionaries(names, st.sampled_from(["p", "q"]), min_size=5), st.booleans())
def test_it_is_lost_exactly_when_none_of_enough_targets_is_reached(
    walk: list[Any], hosts: dict[str, str], complete: bool
) -> None:
    made, there, last = Noting(hosts), set(hosts), dict[str, bool]()
    for what, some, more in walk:
        if what == "result":
            if some not in there:
                continue
            made.found(some, more, 1.0)
            last.pop(some, None)
            if more is not None:
                last[some] = more
        else:
            there = set(some)
            made.apply(there - more)
            last = {name: reached for name, reached in last.items() if name in there - more}
        reach = made.reach(complete=complete)
        assert (reach.targets, reach.unreached) == (len(last), list(last.values()).count(False))
        assert reach.addresses == len({hosts[name] for name in last})
        lost = len(last) >= 3 and reach.addresses >= 2 and not any(last.values())
        assert reach.is_lost == (lost and complete)
        assert (reach.judged(1.0) is Connectivity.LOST) == reach.is_lost
        if any(last.values()) and what == "result" and more is True:
            assert reach.judged(1.0) is not Connectivity.IN_DOUBT


def test_one_failure_leaves_it_in_doubt_until_another_is_reached_or_time_is_over() -> None:
    made = Noting({"a": "p", "b": "q", "c": "r"})
    for name in "abc":
        made.found(name, True, 0.0)
    assert made.reach(complete=True).judged(1.0) is Connectivity.REACHED
    made.found("a", False, 10.0)
    assert made.reach(complete=True).judged(11.0) is Connectivity.IN_DOUBT
    assert made.reach(complete=True).judged(10.0 + DOUBT_SECONDS) is Connectivity.REACHED
    made.found("b", True, 12.0)
    assert made.reach(complete=True).judged(12.0) is Connectivity.REACHED
    made.found("a", False, 20.0)
    assert made.reach(complete=True).judged(20.0) is Connectivity.REACHED, "it failed before: nothing new"
    made.found("b", False, 30.0)
    assert made.reach(complete=True).judged(30.0) is Connectivity.IN_DOUBT
    made.found("c", False, 31.0)
    assert made.reach(complete=True).judged(1e6) is Connectivity.LOST
    made.found("a", True, 40.0)
    assert made.reach(complete=True).judged(40.0) is Connectivity.REACHED


def test_few_targets_or_one_server_say_nothing_of_the_monitor() -> None:
    two = Noting({"a": "p", "b": "q"})
    one_server = Noting({"a": "p", "b": "p", "c": "p"})
    for name in "ab":
        two.found(name, False, 1.0)
    for name in "abc":
        one_server.found(name, False, 1.0)
    for made in (two, one_server):
        assert made.reach(complete=True).judged(1.0) is Connectivity.NOT_JUDGED


def test_the_first_round_is_in_doubt_until_it_is_complete() -> None:
    made = Noting({"a": "p", "b": "q", "c": "r", "d": "s"})
    for name in "abc":
        made.found(name, False, 1.0)
    assert made.reach(complete=False).judged(2.0) is Connectivity.IN_DOUBT
    assert made.reach(complete=False).judged(1.0 + DOUBT_SECONDS) is Connectivity.REACHED
    assert made.reach(complete=True).judged(2.0) is Connectivity.LOST


def test_what_fails_for_another_reason_is_reached() -> None:
    assert is_reached(result("a", True, U)) is True
    assert is_reached(result("a", None, U)) is None
