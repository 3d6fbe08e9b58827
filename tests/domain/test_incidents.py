"""Which failures are one incident, over every order of what can happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.incident_log import IncidentLog
from floe_monitor.domain.incidents import (
    CONNECTIVITY,
    EXPLAINED_BY,
    MEMBERS_KEPT,
    REASONS_KEPT,
    WINDOW,
    Member,
    Reason,
)
from floe_monitor.domain.resources import Resource

if TYPE_CHECKING:
    from floe_monitor.domain.incidents import Incident

UNHEALTHY, DEGRADED = HealthStatus.UNHEALTHY, HealthStatus.DEGRADED
DB = Resource("host", "db:5432")
SECRET = Resource("credential", "env SECRET")
CATALOG = Resource("catalog", "https://catalog")
WAREHOUSE = Resource("warehouse", "WH")


def fail(
    log: IncidentLog,
    target: str,
    at: float,
    *shared: Resource,
    error: ErrorType | None = ErrorType.CONNECTION,
    status: HealthStatus = UNHEALTHY,
    window: float = WINDOW,
) -> list[Incident]:
    member = Member(target, "engine", at, at, status, status, error, error, shared, window)
    return log.worsened(member, Reason(at, target, status, error, f"{target} fails"))


def only(log: IncidentLog) -> Incident:
    (incident,) = log.view()
    return incident


def test_targets_that_share_a_host_and_fail_alike_are_one_incident() -> None:
    log = IncidentLog()
    fail(log, "a", 100, DB)
    fail(log, "b", 160, DB, error=ErrorType.TIMEOUT)
    incident = only(log)
    assert list(incident.members) == ["a", "b"]
    assert incident.cause == DB
    assert [reason.target for reason in incident.reasons] == ["a", "b"]
    log.left("a", 200)
    assert only(log).is_open
    assert only(log).lasting == 1
    (ended,) = log.left("b", 230)
    assert (ended.end, ended.ended_at, len(log), log.find(ended.id)) == ("recovered", 230, 0, ended)


@pytest.mark.parametrize(
    ("shared", "other", "error", "other_error"),
    [
        (DB, Resource("host", "db:5433"), ErrorType.CONNECTION, ErrorType.CONNECTION),
        (DB, DB, ErrorType.CONNECTION, ErrorType.AUTHENTICATION),
        (SECRET, SECRET, ErrorType.CONNECTION, ErrorType.CONNECTION),
        (DB, DB, None, None),
    ],
    ids=["another host", "another reason", "a password explains no refused connection", "no reason"],
)
def test_others_are_incidents_of_their_own(
    shared: Resource, other: Resource, error: ErrorType | None, other_error: ErrorType | None
) -> None:
    log = IncidentLog()
    fail(log, "a", 100, shared, error=error)
    fail(log, "b", 101, other, error=other_error)
    assert len(log) == 2
    assert {incident.cause for incident in log.view()} == {None}


def test_a_failure_past_the_window_is_another_incident() -> None:
    log = IncidentLog()
    fail(log, "a", 100, DB)
    fail(log, "b", 100 + WINDOW + 1, DB)
    assert len(log) == 2
    fail(log, "slow", 100 + 3 * WINDOW, DB, window=2 * WINDOW)
    assert len(log) == 2
    assert log.of("slow") is log.of("b")


def test_what_shares_with_two_incidents_makes_them_one() -> None:
    log = IncidentLog()
    fail(log, "a", 100, DB, error=ErrorType.AUTHENTICATION)
    fail(log, "b", 101, SECRET, error=ErrorType.AUTHENTICATION)
    assert len(log) == 2
    first = log.of("a")
    assert first is not None
    changed = fail(log, "c", 102, DB, SECRET, error=ErrorType.AUTHENTICATION)
    whole = log.of("c")
    assert whole is not None
    assert (whole.id, set(whole.members), len(log)) == (first.id, {"a", "b", "c"}, 1)
    merged = next(each for each in changed if not each.is_open)
    assert (merged.end, merged.merged_into) == ("merged", first.id)
    fail(log, "d", 103, SECRET, error=ErrorType.AUTHENTICATION)
    assert log.of("d") is log.of("a"), "what would have joined the merged one joins the whole"


def test_a_target_that_gets_worse_by_another_cause_joins_those_that_fail_by_it() -> None:
    log = IncidentLog()
    fail(log, "a", 100, DB, CATALOG, error=ErrorType.CATALOG, status=DEGRADED)
    fail(log, "b", 5000, DB)
    fail(log, "a", 5010, DB, CATALOG)
    incident = log.of("a")
    assert incident is not None
    assert set(incident.members) == {"a", "b"}
    assert incident.began_at == 100, "the failure of a has lasted since then"
    assert incident.worst is UNHEALTHY


def test_the_likeliest_explanation_is_the_cause() -> None:
    log = IncidentLog()
    for name in "ab":
        fail(log, name, 100, CATALOG, SECRET, DB, error=ErrorType.CATALOG)
    assert only(log).cause == CATALOG


def test_timeouts_of_a_common_warehouse_and_a_refusal_are_one_incident() -> None:
    log = IncidentLog()
    fail(log, "a", 100, WAREHOUSE, DB, error=ErrorType.TIMEOUT)
    fail(log, "b", 101, WAREHOUSE, error=ErrorType.TIMEOUT)
    assert only(log).cause == WAREHOUSE
    fail(log, "c", 102, DB, error=ErrorType.CONNECTION)
    assert set(only(log).members) == {"a", "b", "c"}


def test_targets_that_turn_out_to_share_a_cause_become_one_incident() -> None:
    log = IncidentLog()
    for at, name in enumerate("abc"):
        fail(log, name, 100.0 + at, Resource("host", name))
    fail(log, "d", 104, SECRET, error=ErrorType.AUTHENTICATION)
    first = log.of("a")
    assert first is not None
    whole, *merged = log.united(["a", "b", "c", "well"], CONNECTIVITY, 110)
    assert (whole.id, set(whole.members), whole.cause) == (first.id, {"a", "b", "c"}, CONNECTIVITY)
    assert {(each.end, each.merged_into, each.ended_at) for each in merged} == {("merged", whole.id, 110)}
    assert [reason.target for reason in whole.reasons] == ["a", "b", "c"]
    assert log.of("d") is not log.of("a")
    fail(log, "late", 5000, Resource("host", "late"), CONNECTIVITY)
    assert log.of("late") is not log.of("a"), "too long afterwards to be of it by itself"
    log.left("late", 5001)
    member = Member("later", "engine", 6000, 6000, UNHEALTHY, UNHEALTHY)
    log.worsened(member, Reason(6000, "later", UNHEALTHY), whole.id)
    assert log.of("later") is log.of("a")
    assert log.united(["well"], CONNECTIVITY, 7000) == []


def test_a_removed_target_ends_its_part_and_says_why() -> None:
    log = IncidentLog()
    fail(log, "a", 100, DB)
    fail(log, "b", 100, DB)
    log.left("a", 110, "removed")
    (ended,) = log.left("b", 120, "renamed")
    assert ended.end == "renamed"
    assert {name: member.end for name, member in ended.members.items()} == {"a": "removed", "b": "renamed"}
    fail(log, "c", 121, DB)
    assert log.of("c") is not ended, "nothing joins an incident that has ended"


def test_memory_is_bounded() -> None:
    log = IncidentLog(kept=5)
    for number in range(20):
        fail(log, "flapping", 10.0 * number)
        log.left("flapping", 10.0 * number + 1)
    assert len(log.view()) == 5
    fail(log, "stays", 1000, DB)
    for number in range(3 * MEMBERS_KEPT):
        fail(log, f"t{number}", 1000 + number, DB)
        log.left(f"t{number}", 1000 + number, "removed")
    incident = log.of("stays")
    assert incident is not None
    assert len(incident.members) == MEMBERS_KEPT + 1
    assert incident.members_total == 3 * MEMBERS_KEPT + 1
    assert len(incident.reasons) == REASONS_KEPT
    assert incident.reasons[0].target == "stays"
    assert incident.reasons_dropped == 3 * MEMBERS_KEPT + 1 - REASONS_KEPT
    log.left("stays", 9999)
    assert log._trails == {}
    assert log._left_by == {}


def test_what_a_former_process_left_goes_on() -> None:
    log = IncidentLog()
    fail(log, "a", 100, DB)
    later = IncidentLog()
    later.restore(log.view())
    assert later.of("a") == log.of("a")
    (ended,) = later.left("a", 200)
    assert ended.began_at == 100
    again = IncidentLog()
    again.restore(later.view())
    assert len(again) == 0
    assert again.view() == (ended,)


@dataclass(frozen=True)
class Step:
    target: int
    happens: str
    error: ErrorType
    pause: float


TARGETS = 5
SHARED = {
    0: (DB,),
    1: (DB, SECRET),
    2: (SECRET, CATALOG),
    3: (CATALOG,),
    4: (),
}
steps = st.lists(
    st.builds(
        Step,
        st.integers(0, TARGETS - 1),
        st.sampled_from(
            ["fails", "fails", "fails", "recovers", "is removed", "is unknown", "worsens", "all cut off"]
        ),
        st.sampled_from([ErrorType.CONNECTION, ErrorType.AUTHENTICATION, ErrorType.CATALOG]),
        st.floats(0, 2 * WINDOW),
    ),
    max_size=40,
)


def play(steps: list[Step]) -> tuple[IncidentLog, set[str]]:
    """What the recorder does, and the targets that fail at the end by a model without any incident."""
    log, failing, at = IncidentLog(kept=1000), set[str](), 1000.0
    for step in steps:
        at += step.pause
        name = f"t{step.target}"
        if step.happens == "is unknown":
            log.changed(name, HealthStatus.UNKNOWN)
        elif step.happens == "all cut off":
            log.united([f"t{number}" for number in range(TARGETS)], CONNECTIVITY, at)
        elif step.happens in ("recovers", "is removed"):
            failing.discard(name)
            log.left(name, at, "recovered" if step.happens == "recovers" else "removed")
        elif name not in failing or step.happens == "worsens":
            failing.add(name)
            fail(log, name, at, *SHARED[step.target], error=step.error)
    return log, failing


@given(steps)
def test_every_failing_target_is_in_one_open_incident_and_no_other_is_in_any(steps: list[Step]) -> None:
    log, failing = play(steps)
    lasting = [
        member.target
        for incident in log.view()
        if incident.is_open
        for member in incident.members.values()
        if member.ended_at is None
    ]
    assert sorted(lasting) == sorted(failing) == sorted(log.members())
    for name in failing:
        incident = log.of(name)
        assert incident is not None
        assert log.find(incident.id) is incident


@given(steps)
def test_an_incident_is_consistent_in_itself(steps: list[Step]) -> None:
    log, _ = play(steps)
    known = log.view()
    assert len({incident.id for incident in known}) == len(known)
    for incident in known:
        members = incident.members.values()
        assert incident.lasting == sum(member.ended_at is None for member in members) or not incident.is_open
        assert incident.is_open is (incident.lasting > 0)
        assert incident.began_at == min(member.began_at for member in members)
        assert incident.worst >= max(member.status for member in members)
        assert [reason.at for reason in incident.reasons] == sorted(reason.at for reason in incident.reasons)
        assert {reason.target for reason in incident.reasons} <= set(incident.members)
        if incident.end == "merged":
            assert incident.merged_into is not None
            assert log.find(incident.merged_into) is not None
        elif not incident.is_open:
            assert incident.ended_at == max(member.ended_at or 0 for member in members)


@given(steps)
def test_members_are_joined_by_what_explains_their_failures(steps: list[Step]) -> None:
    """No incident falls into parts that share nothing: each member fails like another one of its incident."""
    log, _ = play([step for step in steps if step.happens != "worsens"])
    for incident in log.view():
        reached, waiting = set[str](), [next(iter(incident.members))]
        while waiting:
            name = waiting.pop()
            reached.add(name)
            signatures = incident.members[name].signatures
            waiting += [
                other.target
                for other in incident.members.values()
                if other.target not in reached and not signatures.isdisjoint(other.signatures)
            ]
        again = {reason.target for reason in incident.reasons}
        if len(incident.reasons) == len(again):  # a target that failed twice shows its last failure alone
            assert reached == set(incident.members)


@given(steps)
def test_the_same_steps_give_the_same_incidents(steps: list[Step]) -> None:
    assert play(steps)[0].view() == play(steps)[0].view()


@given(steps)
def test_when_all_is_well_again_nothing_is_open_and_nothing_left(steps: list[Step]) -> None:
    log, failing = play(steps)
    for name in sorted(failing):
        log.left(name, 1e6)
    assert len(log) == 0
    assert log.members() == ()
    assert log._trails == {}
    assert log._left_by == {}


@given(st.permutations(["a", "b", "c", "d"]))
def test_who_fails_first_makes_no_difference_to_who_belongs_together(order: list[str]) -> None:
    shared = {"a": (DB,), "b": (DB, SECRET), "c": (SECRET,), "d": (CATALOG,)}
    log = IncidentLog()
    for at, name in enumerate(order):
        fail(log, name, 100.0 + at, *shared[name], error=ErrorType.AUTHENTICATION)
    together = {frozenset(incident.members) for incident in log.view() if incident.is_open}
    assert together == {frozenset("abc"), frozenset("d")}


def test_every_error_type_has_its_explanations() -> None:
    assert EXPLAINED_BY.keys() == set(ErrorType)
