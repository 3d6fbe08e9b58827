"""Whether the monitor is cut off, held against a plain look at the last result of each target."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import CheckResult, ConnectionStatus
from floe_monitor.domain.connectivity import (
    DOUBT_SECONDS,
    NETWORK_CHECK,
    Connectivity,
    ReachJudge,
    address_of,
    is_reached,
)
from floe_monitor.domain.events import ProbeResult

H, U = ConnectionStatus.HEALTHY, ConnectionStatus.UNHEALTHY


def target(host: str | None = None, **connection: Any) -> Any:
    named = connection if host is None else {"host": host, **connection}
    return cast("Any", SimpleNamespace(settings=SimpleNamespace(connection=named), plugin_name="lab"))


def result(name: str, reached: bool | None, status: ConnectionStatus | None = None) -> ProbeResult:
    checks = () if reached is None else (CheckResult(NETWORK_CHECK, H if reached else U),)
    return ProbeResult(name, "lab", status or (U if reached is False else H), 0.1, 0.0, "c", checks=checks)


def judge(hosts: dict[str, str]) -> ReachJudge:
    made = ReachJudge()
    made.apply({name: target(host) for name, host in hosts.items()}, set(hosts))
    return made


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
    made, there, last = judge(hosts), set(hosts), dict[str, bool]()
    for what, some, more in walk:
        if what == "result":
            if some not in there:
                continue
            made.note(result(some, more), 1.0)
            last.pop(some, None)
            if more is not None:
                last[some] = more
        else:
            there = set(some)
            made.apply({name: target(hosts[name]) for name in there}, set(more))
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
    made = judge({"a": "p", "b": "q", "c": "r"})
    for name in "abc":
        made.note(result(name, True), 0.0)
    assert made.reach(complete=True).judged(1.0) is Connectivity.REACHED
    made.note(result("a", False), 10.0)
    assert made.reach(complete=True).judged(11.0) is Connectivity.IN_DOUBT
    assert made.reach(complete=True).judged(10.0 + DOUBT_SECONDS) is Connectivity.REACHED
    made.note(result("b", True), 12.0)
    assert made.reach(complete=True).judged(12.0) is Connectivity.REACHED
    made.note(result("a", False), 20.0)
    assert made.reach(complete=True).judged(20.0) is Connectivity.REACHED, "it failed before: nothing new"
    made.note(result("b", False), 30.0)
    assert made.reach(complete=True).judged(30.0) is Connectivity.IN_DOUBT
    made.note(result("c", False), 31.0)
    assert made.reach(complete=True).judged(1e6) is Connectivity.LOST
    made.note(result("a", True), 40.0)
    assert made.reach(complete=True).judged(40.0) is Connectivity.REACHED


def test_few_targets_or_one_server_say_nothing_of_the_monitor() -> None:
    two = judge({"a": "p", "b": "q"})
    one_server = judge({"a": "p", "b": "p", "c": "P"})
    for name in "ab":
        two.note(result(name, False), 1.0)
    for name in "abc":
        one_server.note(result(name, False), 1.0)
    for made in (two, one_server):
        assert made.reach(complete=True).judged(1.0) is Connectivity.NOT_JUDGED


def test_the_first_round_is_in_doubt_until_it_is_complete() -> None:
    made = judge({"a": "p", "b": "q", "c": "r", "d": "s"})
    for name in "abc":
        made.note(result(name, False), 1.0)
    assert made.reach(complete=False).judged(2.0) is Connectivity.IN_DOUBT
    assert made.reach(complete=False).judged(1.0 + DOUBT_SECONDS) is Connectivity.REACHED
    assert made.reach(complete=True).judged(2.0) is Connectivity.LOST


def test_what_fails_for_another_reason_is_reached() -> None:
    assert is_reached(result("a", True, U)) is True
    assert is_reached(result("a", None, U)) is None


def test_an_address_is_what_the_connection_names() -> None:
    assert address_of(target("DB.example")) == "db.example"
    assert address_of(target(account="Org-Acc")) == "org-acc"
    assert address_of(target(path="x.duckdb")) == "lab"
