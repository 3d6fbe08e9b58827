"""What validations note of servers and of what expires."""

from __future__ import annotations

import math
import pickle
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import (
    ConnectionStatus,
    EngineState,
    ErrorType,
    Expiry,
    ExpiryKind,
    Failure,
    Validation,
    note_engine_state,
    note_expiry,
    note_server,
)
from floe_monitor.compute.evidence import MOST_STATES, Evidence, earliest, gathering, noted, repeat
from floe_monitor.compute.toolkit.worker_thread import WorkerThread

CERTIFICATE, PASSWORD, TOKEN, KEY = ExpiryKind


def classify(error: Exception) -> Failure:
    return Failure(ErrorType.CONNECTION, str(error))


def test_a_result_carries_what_its_validation_noted_and_nobody_elses() -> None:
    note_server("before.example.com")
    note_expiry(PASSWORD, 5.0)
    with Validation(classify) as validation, validation.check("connect"):
        note_server("db.example.com")
        note_server("tokens.example.com")
        note_expiry(CERTIFICATE, 90.0, "of the proxy")
        note_expiry(CERTIFICATE, 80.0, "of the server")
        note_expiry(PASSWORD, None)
        note_expiry(KEY, math.inf)
    note_expiry(TOKEN, 7.0)
    result = pickle.loads(pickle.dumps(validation.result()))  # noqa: S301 - our own
    assert result.server_address == "db.example.com"
    assert result.expiries == (Expiry(CERTIFICATE, 80.0, "of the server"),)
    assert noted().expiries == ()


def test_a_validation_that_fails_has_what_it_came_to() -> None:
    with Validation(classify) as validation:
        with validation.check("connect"):
            note_expiry(CERTIFICATE, 80.0)
        with validation.check("login"):
            raise ConnectionRefusedError
    result = validation.result()
    assert result.status is ConnectionStatus.UNHEALTHY
    assert [each.what for each in result.expiries] == [CERTIFICATE]


def test_a_call_in_a_thread_of_its_own_notes_for_whoever_made_it() -> None:
    thread = WorkerThread("notes", "a note")
    with Validation(classify) as validation, validation.check("connect"):
        call = thread.submit(lambda: note_expiry(TOKEN, 60.0))
        assert call.done.wait(60)
    thread.end()
    assert validation.result().expiries == (Expiry(TOKEN, 60.0),)


def test_two_validations_at_once_do_not_mix() -> None:
    both = threading.Barrier(2)
    found: dict[float, tuple[Expiry, ...]] = {}

    def validate(at: float) -> None:
        with Validation(classify) as validation, validation.check("connect"):
            both.wait(60)
            note_expiry(TOKEN, at)
            both.wait(60)
        found[at] = validation.result().expiries

    threads = [threading.Thread(target=validate, args=(at,)) for at in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {at: (Expiry(TOKEN, at),) for at in (1.0, 2.0)}


def test_another_host_of_several_answers() -> None:
    evidence = Evidence()
    with gathering(evidence):
        note_server("first")
        note_server("second", instead_of="first")
        note_server("third", instead_of="first")
    assert evidence.noted.server_address == "second"


def test_what_made_a_connection_holds_while_it_serves() -> None:
    first, second = Evidence(), Evidence()
    with gathering(first):
        note_server("db")
        note_expiry(CERTIFICATE, 80.0)
        note_engine_state(EngineState.RUNNING)
        made = noted()
    with gathering(second):
        repeat(made)
        note_expiry(PASSWORD, 70.0)
    assert second.noted.server_address == "db"
    assert [each.what for each in second.noted.expiries] == [CERTIFICATE, PASSWORD]
    assert second.noted.engine_states == (), "it may sleep by now"


def test_states_of_an_engine_are_kept_in_their_order() -> None:
    note_engine_state(EngineState.SUSPENDED)
    before = time.time()
    with Validation(classify) as validation, validation.check("connect"):
        note_engine_state(EngineState.STARTING)
        for _ in range(MOST_STATES + 5):
            note_engine_state(EngineState.RUNNING)
    states = validation.result().engine_states
    assert [each.state for each in states[:2]] == [EngineState.STARTING, EngineState.RUNNING]
    assert len(states) == MOST_STATES
    assert before <= states[0].at <= states[-1].at <= time.time()


@given(st.lists(st.builds(Expiry, st.sampled_from(ExpiryKind), st.floats(0, 1e10)), max_size=20))
def test_the_earliest_of_each_kind(expiries: list[Expiry]) -> None:
    found = earliest(expiries)
    assert {each.what for each in found} == {each.what for each in expiries}
    assert len(found) == len({each.what for each in found})
    for each in found:
        assert each.at == min(other.at for other in expiries if other.what is each.what)
