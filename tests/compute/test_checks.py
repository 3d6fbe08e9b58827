"""Checks and the deadline they run under."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeTimeoutError,
    ConnectionStatus,
    Deadline,
    ErrorType,
    Failure,
    MonitorResourceError,
    Validation,
    deadline,
)
from floe_monitor.compute.checks import CheckLog, recording_into
from floe_monitor.compute.errors import resource_error_in, resource_error_in_text

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def classify(error: Exception) -> Failure:
    return Failure(ErrorType.CONNECTION, f"classified {type(error).__name__}")


def test_all_checks_pass() -> None:
    validation = Validation(classify)
    with validation:
        with validation.check("connect"):
            time.sleep(0.002)
        with validation.check("query") as check:
            check.warn("slow")
    validation.warn("old server")
    result = validation.result("fine")
    assert (result.status, result.message, result.error_type) == (HEALTHY, "fine", None)
    assert result.warnings == ["slow", "old server"]
    connect, query = result.checks
    assert (connect.name, query.name) == ("connect", "query")
    assert connect.latency_ms >= 2
    assert query.started_ms >= connect.started_ms + connect.latency_ms
    assert result.latency_ms >= query.started_ms


def test_a_result_says_what_little_was_looked_at() -> None:
    with Validation(classify) as validation, validation.check("asleep") as check:
        check.message = "it rests"
        validation.conclude("nothing more was looked at")
    assert validation.result("all is well").message == "nothing more was looked at"


def test_an_unhealthy_check_ends_the_validation() -> None:
    validation = Validation(classify)
    with validation:
        with validation.check("connect"):
            raise ConnectionRefusedError
        pytest.fail("the next check ran")
    result = validation.result("fine")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert result.message == "classified ConnectionRefusedError"
    assert [check.name for check in result.checks] == ["connect"]


def test_a_degraded_check_lets_the_next_run_and_the_worst_speaks() -> None:
    validation = Validation(classify)
    with validation:
        with validation.check("extension:a", on_failure=DEGRADED):
            raise OSError
        with validation.check("busy") as check:
            check.degrade("in use")
        with validation.check("login") as check:
            check.fail("denied", ErrorType.AUTHENTICATION)
            check.degrade("does not make it better")
    result = validation.result()
    assert [check.status for check in result.checks] == [DEGRADED, DEGRADED, UNHEALTHY]
    assert (result.message, result.error_type) == ("denied", ErrorType.AUTHENTICATION)


def test_an_engine_that_has_gone_is_no_limitation() -> None:
    def look(error: Exception) -> ConnectionStatus:
        validation = Validation(classify)
        with validation, validation.check("schema", on_failure=DEGRADED, fatal=(ConnectionError,)):
            raise error
        return validation.result().status

    assert look(ConnectionResetError()) is UNHEALTHY
    assert look(PermissionError()) is DEGRADED


def test_errors_of_the_contract_speak_for_themselves() -> None:
    validation = Validation(classify)
    with validation, validation.check("connect"):
        raise ComputeConfigurationError("no such role")
    result = validation.result()
    assert (result.message, result.error_type) == ("no such role", ErrorType.CONFIGURATION)


def test_what_fails_past_the_deadline_is_a_timeout() -> None:
    validation = Validation(classify)
    with deadline.running_until(Deadline.after(0)), validation, validation.check("query"):
        raise ComputeConfigurationError("cancelled, says the driver")
    assert validation.result().error_type is ErrorType.TIMEOUT


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ComputeTimeoutError("no answer in time from 127.0.0.9"), "no answer in time from 127.0.0.9"),
        (ComputeTimeoutError(""), "no answer within the time allowed (ComputeTimeoutError)"),
        (OSError("closed"), "no answer within the time allowed (OSError)"),
    ],
)
def test_past_the_deadline_a_timeout_keeps_its_words(error: Exception, message: str) -> None:
    """They name what was waited for, however late the machine is."""
    validation = Validation(classify)
    with deadline.running_until(Deadline.after(-1)), validation, validation.check("connect"):
        raise error
    assert (validation.result().error_type, validation.result().message) == (ErrorType.TIMEOUT, message)


def test_exceptions_outside_checks_are_not_swallowed() -> None:
    validation = Validation(classify)
    with pytest.raises(KeyboardInterrupt), validation, validation.check("connect"):
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="outside"), Validation(classify):
        raise ValueError("outside")


def test_without_checks_nothing_is_wrong() -> None:
    assert Validation(classify).result("fine").status is HEALTHY


def test_a_log_tells_another_thread_where_a_validation_hangs() -> None:
    log, reached, go_on = CheckLog(), threading.Event(), threading.Event()

    def validate() -> None:
        with recording_into(log):
            validation = Validation(classify)
        with validation:
            with validation.check("connect"):
                pass
            with validation.check("query"):
                reached.set()
                go_on.wait(60)

    thread = threading.Thread(target=validate, name="validation")
    thread.start()
    assert reached.wait(60)
    assert [check.name for check in log.done] == ["connect"]
    assert log.running is not None
    assert log.running[0] == "query"
    go_on.set()
    thread.join(10)
    assert log.running is None
    assert [check.name for check in log.done] == ["connect", "query"]


@given(st.lists(st.sampled_from(list(ConnectionStatus)), max_size=6))
def test_the_verdict_is_the_worst_that_ran(statuses: list[ConnectionStatus]) -> None:
    validation = Validation(classify)
    with validation:
        for number, status in enumerate(statuses):
            with validation.check(f"check:{number}") as check:
                if status is DEGRADED:
                    check.degrade("d")
                elif status is UNHEALTHY:
                    check.fail("u", ErrorType.QUERY)
    ran = statuses[: statuses.index(UNHEALTHY) + 1] if UNHEALTHY in statuses else statuses
    result = validation.result()
    assert [check.status for check in result.checks] == ran
    assert result.status is max(ran, key=lambda status: status.severity, default=HEALTHY)


def test_remaining_counts_down_and_stays_at_zero() -> None:
    assert deadline.current() is None
    assert deadline.remaining() == deadline.DEFAULT_SECONDS
    assert deadline.remaining(default=1.5) == 1.5
    with deadline.running_until(Deadline.after(60)) as outer:
        assert deadline.current() is outer
        assert 59 < deadline.remaining() <= 60
        with deadline.running_until(Deadline.after(-1)) as inner:
            assert inner.expired
            assert deadline.remaining() == 0.0
        assert not outer.expired
        assert deadline.current() is outer
    assert deadline.current() is None


def test_a_deadline_belongs_to_its_context() -> None:
    context = copy_context()
    with deadline.running_until(Deadline.after(60)):
        seen: list[object] = []
        thread = threading.Thread(target=lambda: seen.append(deadline.current()), name="other")
        thread.start()
        thread.join()
        assert seen == [None]
        assert context.run(deadline.current) is None


# ---------------------------------------------------------------- secrets, and the monitor's own shortages


def test_secrets_are_replaced_in_what_failures_say() -> None:
    validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)), ["s3cr3t", "abc", ""])
    with validation:
        validation.hide("t0ken")
        with validation.check("login"):
            raise ValueError("s3cr3t and t0ken, abc")
    assert validation.result().message == "*** and ***, abc"


def test_secrets_are_replaced_in_what_limitations_say_too() -> None:
    validation = Validation(classify, ["s3cr3t"])
    with validation:
        with validation.check("login") as check:
            check.message = "s3cr3t is what we say ourselves"
        with validation.check("dataset") as check:
            check.degrade("refused: s3cr3t")
        with validation.check("write") as check:
            check.fail("refused: s3cr3t", ErrorType.PERMISSION)
    messages = [check.message for check in validation.result().checks]
    assert messages == ["s3cr3t is what we say ourselves", "refused: ***", "refused: ***"]


def test_a_longer_secret_is_replaced_before_one_that_is_part_of_it() -> None:
    validation = Validation(classify, ["word", "password"])
    with validation, validation.check("login"):
        raise ComputeConfigurationError("the password")
    assert validation.result().message == "the ***"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENFILE, "Too many open files in system"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        MonitorResourceError("no thread"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}",
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_shortage_of_the_monitor_is_no_failure_of_a_check(error: Exception, wrapped: bool) -> None:
    def run() -> None:
        with validation, validation.check("network"):
            if not wrapped:
                raise error
            try:
                raise error
            except type(error):
                raise LookupError("the driver's own words")  # noqa: B904 - as drivers do

    validation = Validation(classify)
    with pytest.raises(MonitorResourceError):
        run()
    assert validation.result().checks == ()


def test_an_error_of_the_target_is_none_of_the_monitors() -> None:
    for error in (OSError(errno.ECONNREFUSED, "refused"), RuntimeError("x"), ComputeConfigurationError("x")):
        assert resource_error_in(error) is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_a_library_that_drops_the_number_repeats_the_systems_words(number: int) -> None:
    said = f"could not create socket: {os.strerror(number)}"
    found, same = resource_error_in_text(said), resource_error_in(OSError(number, ""))
    assert str(found) == str(same)
    assert found is not None
    assert resource_error_in_text("could not create socket: Connection refused") is None


def test_the_margin_comes_before_the_deadline_and_never_after_it() -> None:
    for seconds in (10.0, 0.5, 0.0):
        with deadline.running_until(Deadline.after(seconds)) as limit:
            early = deadline.with_margin()
            assert limit.expires_at - deadline.MARGIN - 0.001 <= early.expires_at <= limit.expires_at


def test_a_share_is_of_what_is_left() -> None:
    whole = Deadline.after(100)
    assert 24 < whole.share(0.25).remaining() <= 25
    assert Deadline.after(-1).share(0.5).expired
