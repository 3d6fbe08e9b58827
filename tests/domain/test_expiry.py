"""What is known of expiries, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ConnectionStatus, Expiry, ExpiryKind
from floe_monitor.domain.events import ProbeResult, WorkerOutcome
from floe_monitor.domain.expiry import ExpiryLead, WatchedExpiry, known_after, watched
from floe_monitor.domain.health import Health
from floe_monitor.domain.state import TargetSnapshot

if TYPE_CHECKING:
    from floe_monitor.domain.targets import Target

CERTIFICATE, PASSWORD, TOKEN, KEY = ExpiryKind
DAY = 86_400.0
NOW = 1_700_000_000.0


def ending(what: ExpiryKind, at: float = NOW, lead: float = DAY) -> WatchedExpiry:
    return WatchedExpiry(what, at, "", lead)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (3 * DAY + 5, "the password expires in 3 days: "),
        (1.9 * DAY, "the password expires in 45 hours: "),
        (7_199, "the password expires in 119 minutes: "),
        (61, "the password expires in 1 minute: "),
        (1.5, "the password expires in 1 second: "),
        (0, "the password has expired: "),
        (-5, "the password has expired: "),
    ],
)
def test_the_time_left_in_words(left: float, said: str) -> None:
    assert ending(PASSWORD, NOW + left).warning(NOW).startswith(said)


def test_the_moment_and_whose_it_is() -> None:
    known = WatchedExpiry(TOKEN, NOW, "the token in credentials.token", 5.0)
    assert known.warning(NOW - 60) == (
        "the token in credentials.token expires in 1 minute: 2023-11-14 22:13:20 UTC"
    )


def test_leads_of_tokens_and_of_the_rest() -> None:
    expiries = [Expiry(CERTIFICATE, NOW + 100), Expiry(TOKEN, NOW + 100)]
    leads = {each.what: each.is_near(NOW) for each in watched(expiries, ExpiryLead(DAY, 60.0))}
    assert leads == {CERTIFICATE: True, TOKEN: False}
    assert not any(each.is_near(NOW + DAY) for each in watched(expiries, ExpiryLead(0.0)))


def test_a_failure_holds_what_it_did_not_come_to() -> None:
    before = (ending(CERTIFICATE), ending(PASSWORD))
    renewed = ending(CERTIFICATE, NOW + DAY)
    assert known_after(before, (renewed,), whole=False) == (renewed, ending(PASSWORD))
    assert known_after(before, (), whole=False) is before


def test_a_success_says_all_there_is() -> None:
    assert known_after((ending(CERTIFICATE), ending(PASSWORD)), (ending(KEY),), whole=True) == (ending(KEY),)


@given(
    st.lists(
        st.tuples(st.builds(ending, st.sampled_from(ExpiryKind), st.floats(0, 1e9)), st.booleans()),
        max_size=20,
    )
)
def test_one_of_each_kind_and_the_same_object_where_nothing_is_new(
    learned: list[tuple[WatchedExpiry, bool]],
) -> None:
    known: tuple[WatchedExpiry, ...] = ()
    for each, whole in learned:
        known = known_after(known, (each,), whole=whole)
        assert len({expiry.what for expiry in known}) == len(known)
        assert known_after(known, (each,), whole=whole) is known


@pytest.mark.parametrize(
    ("status", "worker", "holds"),
    [
        (ConnectionStatus.HEALTHY, "returned", False),
        (ConnectionStatus.DEGRADED, "returned", False),
        (ConnectionStatus.UNHEALTHY, "returned", True),
        (ConnectionStatus.DEGRADED, "stuck", True),
    ],
)
def test_which_validations_have_said_all(
    status: ConnectionStatus, worker: WorkerOutcome, *, holds: bool
) -> None:
    known = TargetSnapshot(cast("Target", None), expiries=(ending(PASSWORD),), server_address="db")
    after = known.after(
        ProbeResult("dev", "lab", status, 0.1, NOW, "c0ffee", worker=worker), Health(), 0, 0.0
    )
    assert after.expiries == ((ending(PASSWORD),) if holds else ())
    assert after.server_address == "db"
