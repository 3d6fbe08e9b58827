"""One attempt at one target, turned into exactly one `ProbeResult` whatever the plugin does.

Or into none, where the monitor itself is short of descriptors, threads or memory: that says nothing of a
target.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from floe_monitor.compute import checks, deadline
from floe_monitor.compute.errors import MonitorResourceError, resource_error_in
from floe_monitor.compute.models import CheckResult, ConnectionResult, ConnectionStatus, ErrorType
from floe_monitor.compute.redaction.current import knowing_secrets_of
from floe_monitor.compute.toolkit.headroom import require_descriptors, require_threads
from floe_monitor.credentials.resolver import CredentialError
from floe_monitor.domain.events import ProbeResult
from floe_monitor.domain.expiry import watched
from floe_monitor.probing.invocation import RaisedError, validate_with
from floe_monitor.probing.plugin_closers import PluginClosers
from floe_monitor.probing.process_pool import (
    START_SECONDS,
    PluginAddress,
    ProcessPool,
    ReclaimedError,
    WorkerProcess,
    WorkerProcessError,
)
from floe_monitor.probing.tracing import NoTracing
from floe_monitor.registry.foreign_plugin import adapt_noted, adapt_result, describe_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.compute.redaction.redactor import Redactor
    from floe_monitor.compute.toolkit.worker_thread import Call
    from floe_monitor.domain.events import Trigger, WorkerOutcome
    from floe_monitor.domain.targets import Target
    from floe_monitor.probing.tracing import SpanHandle, Tracing
    from floe_monitor.probing.workers import Slot, WorkerPool

RECLAIM_SECONDS = 0.25
"""How long past the deadline the runner waits for a worker process to be killed before it reports."""

SHUTDOWN_SECONDS = 1.2
"""How long plugins get to close what they keep when the monitor stops."""

HEADROOM_SECONDS = 0.1
"""For how long the descriptors found free count as free: to look for every probe costs more than a span."""

_ids = random.Random()  # seeded by the system once: asking it for every probe costs more than the span


def new_correlation_id() -> str:
    """Sixteen hex digits: unique enough to find one probe by, nothing to guard a secret with."""
    return f"{_ids.getrandbits(64):016x}"


@dataclass(slots=True, eq=False)
class Attempt:
    """One probe under way. `overdue_since` is set (monotonic) once it is past its deadline and still runs."""

    target: Target
    correlation_id: str = field(default_factory=new_correlation_id)
    log: checks.CheckLog = field(default_factory=checks.CheckLog)
    redactor: Redactor | None = None
    expires_at: float = 0.0
    """On `time.monotonic`'s clock. Moved by the worker, which has `preparing` set meanwhile."""
    preparing: bool = False
    outcome: Call[ConnectionResult] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    overdue_since: float | None = None
    worker_ended: Callable[[Attempt], None] | None = None
    """Called on the event loop if the worker ends only after the result was published."""


class Runner:
    """Runs attempts on the workers of `pool`. For the event loop's thread only."""

    def __init__(self, pool: WorkerPool, tracing: Tracing | None = None) -> None:
        self._pool = pool
        self._tracing: Tracing = tracing or NoTracing()
        self._processes = ProcessPool()
        self._closers = PluginClosers()
        self._headroom_until = 0.0

    def close(self) -> None:
        """Kill the worker processes, and have the plugins close what they keep, in `SHUTDOWN_SECONDS`."""
        self._processes.close()
        self._closers.close(SHUTDOWN_SECONDS)

    def retire(self, plugins: Iterable[ComputePlugin]) -> None:
        """Have every plugin used here but these close what it keeps: no target names it any more."""
        self._closers.retire(plugins)

    async def run(self, attempt: Attempt, slot: Slot, trigger: Trigger) -> ProbeResult:
        """Validate in `slot`, which from here on is the worker's to give back.

        Raises when cancelled, and `MonitorResourceError` where it says nothing of the target.
        """
        target, policy = attempt.target, attempt.target.policy
        in_process = policy.isolation == "process"
        started_at, started = time.time(), time.monotonic()
        try:
            self._require_headroom()
            span = self._tracing.start(
                target=target.name,
                plugin=target.plugin_name,
                db_system=target.db_system,
                correlation_id=attempt.correlation_id,
            )
            attempt.expires_at = started + policy.timeout
            call = self._in_process(attempt, span) if in_process else self._in_thread(attempt, span)
        except BaseException:  # nothing runs in the slot, so nothing else gives it back
            self._pool.release(slot)
            raise
        self._pool.submit(slot, call, lambda outcome: self._ended(attempt, outcome))
        await self._wait_until_over(attempt, RECLAIM_SECONDS if in_process else 0.0)
        if attempt.outcome is not None and isinstance(attempt.outcome.error, MonitorResourceError):
            raise attempt.outcome.error
        began = started if attempt.preparing else attempt.expires_at - policy.timeout
        duration = time.monotonic() - began
        result = self._result(attempt, span, trigger, started_at + began - started, duration)
        if result.worker == "returned" and result.status is ConnectionStatus.UNHEALTHY:
            # A driver that cannot open a socket may call the engine unreachable. As many as before it began:
            # others may have closed some since.
            require_descriptors()
            require_threads(1)
        if result.worker == "stuck":
            attempt.overdue_since = attempt.expires_at
            self._pool.mark_stuck(slot)
        span.end(result)
        return result

    def _require_headroom(self) -> None:
        """Before a driver starts that may abort the process where it is short of descriptors."""
        now = time.monotonic()
        if now >= self._headroom_until:
            require_descriptors()
            self._headroom_until = now + HEADROOM_SECONDS

    def without_worker(self, attempt: Attempt, trigger: Trigger, problem: str | None = None) -> ProbeResult:
        """The result where nothing was called: the plugin is missing or broken, or `problem`."""
        return ProbeResult(
            target=attempt.target.name,
            plugin=attempt.target.plugin_name,
            status=ConnectionStatus.UNHEALTHY,
            duration=0.0,
            started_at=time.time(),
            correlation_id=attempt.correlation_id,
            message=problem or attempt.target.entry.problem or "the plugin cannot be used",
            error_type=ErrorType.PLUGIN,
            trigger=trigger,
        )

    async def _wait_until_over(self, attempt: Attempt, grace: float) -> None:
        """Until the worker ended, or its time did, which preparations put off."""
        while attempt.outcome is None:
            left = attempt.expires_at + grace - time.monotonic()
            if left <= 0:
                return
            attempt.changed.clear()
            handle = asyncio.get_running_loop().call_later(left, attempt.changed.set)
            try:
                await attempt.changed.wait()
            finally:
                handle.cancel()

    def _in_thread(self, attempt: Attempt, span: SpanHandle) -> Callable[[], ConnectionResult]:
        loop = asyncio.get_running_loop()
        target, plugin = attempt.target, attempt.target.entry.plugin
        assert plugin is not None  # noqa: S101 - `without_worker` serves the others

        def validate() -> ConnectionResult:
            resolved = target.resolve()
            attempt.redactor = resolved.redactor
            if not target.is_prepared:
                with self._preparing(attempt, loop), knowing_secrets_of(resolved.redactor):
                    self._closers.note_used(plugin)
                    target.prepare(resolved)
            with (
                deadline.running_until(deadline.Deadline(attempt.expires_at)),
                checks.recording_into(attempt.log),
                knowing_secrets_of(resolved.redactor),
                span.activate(),
            ):
                return validate_with(plugin, resolved, target.entry.distribution)

        # A context of its own: what a plugin sets in one validation is not there in the next.
        return lambda: Context().run(_naming_shortage, validate)

    def _in_process(self, attempt: Attempt, span: SpanHandle) -> Callable[[], ConnectionResult]:
        loop = asyncio.get_running_loop()
        target, entry = attempt.target, attempt.target.entry

        def validate() -> ConnectionResult:
            resolved = target.resolve()
            attempt.redactor = resolved.redactor
            process: WorkerProcess | None = None
            reusable = False
            try:
                with self._preparing(attempt, loop):
                    ready_by = time.monotonic() + START_SECONDS
                    address = PluginAddress(entry.name, entry.distribution)
                    process = self._processes.acquire(address, target.withheld, ready_by)
                    process.set_environ(target.secret_environ())
                    process.prepare(target.fingerprint, resolved, ready_by)
                with span.activate():
                    result = process.call(resolved, attempt.expires_at, attempt.log)
                reusable = True
            except RaisedError:
                reusable = True
                raise
            finally:
                if process is not None:
                    (self._processes.release if reusable else self._processes.discard)(process)
            return result

        return lambda: _naming_shortage(validate)

    @contextlib.contextmanager
    def _preparing(self, attempt: Attempt, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """In the worker. The deadline counts from the end of it: starting a process or importing a driver is
        no part of the validation."""

        def expire_in(seconds: float) -> None:
            attempt.expires_at = time.monotonic() + seconds
            with contextlib.suppress(RuntimeError):  # the loop has closed: no task waits for the result
                loop.call_soon_threadsafe(attempt.changed.set)

        attempt.preparing = True
        expire_in(START_SECONDS + 1)
        yield
        expire_in(attempt.target.policy.timeout)
        attempt.preparing = False

    def _ended(self, attempt: Attempt, outcome: Call[ConnectionResult]) -> None:
        attempt.outcome = outcome
        attempt.changed.set()
        if attempt.overdue_since is not None and attempt.worker_ended is not None:
            attempt.worker_ended(attempt)

    def _result(
        self, attempt: Attempt, span: SpanHandle, trigger: Trigger, started_at: float, duration: float
    ) -> ProbeResult:
        found, worker = _conclude(attempt, duration)
        expiries = watched(found.expiries, attempt.target.policy.expiry_lead)
        now = started_at + duration
        near = [each.warning(now) for each in expiries if each.is_near(now)]
        return ProbeResult(
            target=attempt.target.name,
            plugin=attempt.target.plugin_name,
            status=found.status,
            duration=duration,
            started_at=started_at,
            correlation_id=attempt.correlation_id,
            message=found.message,
            warnings=(*near, *found.warnings),
            checks=found.checks,
            error_type=found.error_type,
            trigger=trigger,
            worker=worker,
            trace_id=span.trace_id,
            span_id=span.span_id,
            server_address=found.server_address,
            expiries=expiries,
            engine_states=found.engine_states,
        )


def _naming_shortage(validate: Callable[[], ConnectionResult]) -> ConnectionResult:
    """In the worker: what is raised for want of the monitor's own means is a `MonitorResourceError`."""
    try:
        return validate()
    except RaisedError:  # what the plugin raised was looked at where it was caught
        raise
    except Exception as error:
        shortage = resource_error_in(error)
        if shortage is not None:
            raise shortage from None
        raise


def _conclude(attempt: Attempt, duration: float) -> tuple[ConnectionResult, WorkerOutcome]:
    """The result and what became of the worker. Results of our own making are cleaned like a plugin's."""
    outcome = attempt.outcome
    if outcome is None:
        found = _timed_out(attempt, duration) if not attempt.preparing else _never_ready()
        return _own(attempt, found), "stuck"
    if outcome.error is None:
        return outcome.get(), "returned"
    if isinstance(outcome.error, ReclaimedError):
        return _own(attempt, _timed_out(attempt, duration)), "reclaimed"
    raised = _own(attempt, _raised(attempt, outcome.error))
    return raised, "reclaimed" if isinstance(outcome.error, WorkerProcessError) else "returned"


def _own(attempt: Attempt, found: ConnectionResult) -> ConnectionResult:
    """A result of our own making, with what the validation had learned."""
    noted = adapt_noted(attempt.log.evidence.noted, attempt.redactor)
    made = adapt_result(found, attempt.redactor)
    return replace(made, **noted._asdict())


def _timed_out(attempt: Attempt, duration: float) -> ConnectionResult:
    done, running = attempt.log.done, attempt.log.running
    message = f"no answer within {attempt.target.policy.timeout:g} s"
    if running is None:
        return _unhealthy(ErrorType.TIMEOUT, message, done)
    message = f"{message}: check {running.name!r} did not return"
    hung = CheckResult(
        name=running.name,
        status=running.on_timeout,
        latency_ms=max(0.0, duration * 1000 - running.started_ms),
        message=message,
        error_type=ErrorType.TIMEOUT,
        started_ms=running.started_ms,
    )
    # A check that failed UNHEALTHY would have been the last: none of those before is worse.
    return ConnectionResult(hung.status, 0.0, message, [], (*done, hung), hung.error_type)


def _never_ready() -> ConnectionResult:
    return _unhealthy(ErrorType.PLUGIN, f"the plugin was not ready within {START_SECONDS:g} s", ())


def _raised(attempt: Attempt, error: BaseException) -> ConnectionResult:
    done = attempt.log.done
    if isinstance(error, CredentialError):
        return _unhealthy(ErrorType.CONFIGURATION, str(error), done)
    if isinstance(error, RaisedError):
        return _unhealthy(error.error_type, error.text, done)
    # What is left is ours: no process, or a fault in reading the configuration.
    text = str(error) if isinstance(error, WorkerProcessError) else describe_error(error, attempt.redactor)
    return _unhealthy(ErrorType.PLUGIN, text, done)


def _unhealthy(error_type: ErrorType, message: str, done: tuple[CheckResult, ...]) -> ConnectionResult:
    return ConnectionResult(ConnectionStatus.UNHEALTHY, 0.0, message, [], done, error_type)
