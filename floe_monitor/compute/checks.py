"""Recording the checks of one validation, so that every plugin reports them alike.

    validation = Validation(classify)
    with validation:
        with validation.check("connect"):
            connection = driver.connect(...)
        with validation.check("query"):
            connection.execute("SELECT 1")
        with validation.check("extension:iceberg", on_failure=ConnectionStatus.DEGRADED):
            connection.load_extension("iceberg")
    return validation.result()

A check that raises is recorded with the reason `classify` gives. One that fails UNHEALTHY ends the
validation; one that fails DEGRADED lets the next run. `validation.result()` is the whole.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from floe_monitor.compute import deadline
from floe_monitor.compute.errors import ComputeError, ComputeTimeoutError, resource_error_in
from floe_monitor.compute.evidence import Evidence, gathering
from floe_monitor.compute.models import CheckResult, ConnectionResult, ConnectionStatus, ErrorType
from floe_monitor.compute.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType


SHORTEST_HIDDEN = 4
"""Characters below which a secret is not looked for: it would blot ordinary words."""


class Failure(NamedTuple):
    """A driver's exception in the contract's words. The message must hold no credential."""

    error_type: ErrorType
    message: str


def _plain(text: object) -> str:
    if type(text) is str:
        return text
    try:
        return str.__str__(text) if isinstance(text, str) else str(text)
    except Exception:  # noqa: BLE001 - whatever a plugin gave us
        return f"(a {type(text).__name__} that cannot be read)"


class RunningCheck(NamedTuple):
    """The check under way.

    `started_ms` counts from the start of the validation; `on_timeout` is the check's status where the
    validation's time ends before it does.
    """

    name: str
    started_ms: float
    on_timeout: ConnectionStatus


class CheckLog:
    """What a validation has recorded so far, readable from another thread while it runs.

    The runner of a probe puts one in place, so that a validation past its deadline still reports which checks
    had passed and which one it hangs in.
    """

    __slots__ = ("_done", "_running", "evidence")

    def __init__(self) -> None:
        self.evidence = Evidence()
        self._done: tuple[CheckResult, ...] = ()
        self._running: RunningCheck | None = None

    def begin(
        self, name: str, started_ms: float, on_timeout: ConnectionStatus = ConnectionStatus.UNHEALTHY
    ) -> None:
        self._running = RunningCheck(_plain(name), started_ms, on_timeout)

    def finish(self, result: CheckResult) -> None:
        """In the worker, where a message that is no plain text may be turned into one: that runs its code."""
        if type(result.name) is not str or type(result.message) is not str:
            result = replace(result, name=_plain(result.name), message=_plain(result.message))
        self._done = (*self._done, result)
        self._running = None

    @property
    def done(self) -> tuple[CheckResult, ...]:
        return self._done

    @property
    def running(self) -> RunningCheck | None:
        return self._running


_log: ContextVar[CheckLog | None] = ContextVar("floe_monitor_check_log", default=None)


@contextmanager
def recording_into(log: CheckLog) -> Iterator[CheckLog]:
    """Make validations record into `log`; for whoever calls a plugin, not for the plugin."""
    token = _log.set(log)
    try:
        yield log
    finally:
        _log.reset(token)


class _StopValidationError(Exception):
    """Raised by a check that failed UNHEALTHY; the validation it belongs to absorbs it."""


@dataclass(slots=True)
class Check:
    """The check under way: lets its body report something short of an exception."""

    name: str
    status: ConnectionStatus = ConnectionStatus.HEALTHY
    message: str = ""
    error_type: ErrorType | None = None
    warnings: list[str] = field(default_factory=list)

    def degrade(self, message: str, error_type: ErrorType | None = None) -> None:
        """It works with a limitation, or not at this moment: say which."""
        self._worsen(ConnectionStatus.DEGRADED, message, error_type)

    def fail(self, message: str, error_type: ErrorType) -> None:
        """It does not work. The validation ends with this check."""
        self._worsen(ConnectionStatus.UNHEALTHY, message, error_type)

    def warn(self, message: str) -> None:
        """Worth knowing, without changing the verdict."""
        self.warnings.append(message)

    def _worsen(self, status: ConnectionStatus, message: str, error_type: ErrorType | None) -> None:
        if status.severity > self.status.severity:
            self.status, self.message, self.error_type = status, message, error_type


class Validation:
    """The checks of one `validate_connection` call, in order.

    `classify` turns a driver's exception into a `Failure`; errors of the contract (`ComputeError`) need none.
    An exception that surfaces after the deadline counts as a timeout whatever its class. `secrets` are
    replaced in warnings and in what checks say that did not pass: drivers and servers repeat what they were
    given.

    Where the monitor itself is short of threads, memory or descriptors, a check raises
    `MonitorResourceError` instead of failing: the whole validation is void.
    """

    def __init__(self, classify: Callable[[Exception], Failure], secrets: Iterable[str] = ()) -> None:
        self._classify = classify
        self._secrets: set[str] = set()
        self._redact: Redactor | None = None
        """Of them, once there is a text to say."""
        self.hide(*secrets)
        self._started = time.perf_counter()
        self._log = _log.get() or CheckLog()
        self._warnings: list[str] = []
        self._conclusion = ""
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        self._entered.enter_context(gathering(self._log.evidence))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._entered.close()
        return isinstance(error, _StopValidationError)

    @contextmanager
    def check(
        self,
        name: str,
        *,
        on_failure: ConnectionStatus = ConnectionStatus.UNHEALTHY,
        on_timeout: ConnectionStatus = ConnectionStatus.UNHEALTHY,
        fatal: tuple[type[Exception], ...] = (),
    ) -> Iterator[Check]:
        """Run one check; `on_failure` is the status an exception in its body gives it.

        `on_timeout` is its status where it does not return before the deadline: by default UNHEALTHY, for the
        engine does not answer. Those of `fatal` say that the engine is unreachable: always UNHEALTHY.
        """
        check = Check(name)
        started_ms = self._elapsed_ms()
        self._log.begin(name, started_ms, on_timeout)
        try:
            yield check
        except _StopValidationError:
            raise
        except Exception as error:  # every driver raises its own; classify names it
            shortage = resource_error_in(error)
            if shortage is not None:
                raise shortage from error
            failure = self._name(error)
            status = ConnectionStatus.UNHEALTHY if isinstance(error, fatal) else on_failure
            check._worsen(status, failure.message, failure.error_type)  # noqa: SLF001 - of this module
        passed = check.status is ConnectionStatus.HEALTHY
        self._log.finish(
            CheckResult(
                name=name,
                status=check.status,
                latency_ms=self._elapsed_ms() - started_ms,
                message=check.message if passed else self._without_secrets(_plain(check.message)),
                error_type=check.error_type,
                started_ms=started_ms,
            )
        )
        self._warnings += check.warnings
        if check.status is ConnectionStatus.UNHEALTHY:
            raise _StopValidationError

    def warn(self, message: str) -> None:
        self._warnings.append(message)

    def conclude(self, message: str) -> None:
        """Have the result say this where every check passes: less was looked at than it usually says."""
        self._conclusion = message

    def hide(self, *secrets: str) -> None:
        """Replace these too in warnings and in what checks say that do not pass, in every form in which they
        may be repeated; one of less than four characters is not."""
        self._secrets.update(secret for secret in secrets if len(secret) >= SHORTEST_HIDDEN)
        self._redact = None

    def result(self, message: str = "") -> ConnectionResult:
        """The verdict: the worst check's status; its message unless all passed, then `message`."""
        checks = self._log.done
        worst = max(checks, key=lambda check: check.status.severity, default=None)
        passed = worst is None or worst.status is ConnectionStatus.HEALTHY
        return ConnectionResult(
            status=ConnectionStatus.HEALTHY if worst is None else worst.status,
            latency_ms=self._elapsed_ms(),
            message=(self._conclusion or message) if passed or worst is None else worst.message,
            warnings=[self._without_secrets(_plain(warning)) for warning in self._warnings],
            checks=checks,
            error_type=None if passed or worst is None else worst.error_type,
            server_address=self._log.evidence.noted.server_address,
            expiries=self._log.evidence.noted.expiries,
            engine_states=self._log.evidence.noted.engine_states,
        )

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    def _name(self, error: Exception) -> Failure:
        current = deadline.current()
        # What the toolkit's own waits raise at the deadline says what they waited for.
        named = isinstance(error, ComputeTimeoutError) and str(error)
        if current is not None and current.expired and not named:
            return Failure(ErrorType.TIMEOUT, f"no answer within the time allowed ({type(error).__name__})")
        if isinstance(error, ComputeError):
            return Failure(error.error_type, str(error))
        return self._classify(error)

    def _without_secrets(self, text: str) -> str:
        if self._redact is None:
            self._redact = Redactor(self._secrets)
        return self._redact(text)
