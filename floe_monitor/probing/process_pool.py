"""Validations in a worker process, which is killed at the deadline: the third bound.

The worker thread that holds the slot sends the call to a process over a socket and waits for the answer. At
the deadline it kills the process with all that it started, and the slot is free again. A process serves one
call after another; it is started, and its plugin imported, before the deadline begins to count.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.errors import ComputeError, MonitorResourceError, resource_error_in
from floe_monitor.compute.models import CheckResult, ConnectionResult, ErrorType
from floe_monitor.domain import forked_child
from floe_monitor.probing import process_tree
from floe_monitor.probing.channel import Channel, MessageError
from floe_monitor.probing.invocation import RaisedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute.checks import CheckLog
    from floe_monitor.credentials.resolver import Resolved

START_SECONDS = 30.0
"""How long a process may take to start and to import its plugin."""

SHORTAGE_STATUS = 75
"""With which a worker process ends that had no thread, memory or descriptor to work with (EX_TEMPFAIL)."""

IDLE_SECONDS = 300.0
"""A process unused for this long is ended."""


class WorkerProcessError(ComputeError):
    """The process ended, or could not start: the plugin's own fault, not the engine's."""

    error_type = ErrorType.PLUGIN


class ReclaimedError(ComputeError):
    """The deadline passed and the process was killed."""

    error_type = ErrorType.TIMEOUT


@dataclass(frozen=True, slots=True)
class PluginAddress:
    """How a worker process finds the plugin."""

    name: str
    distribution: str | None


class ProcessPool:
    """Idle worker processes by plugin. Thread-safe: worker threads acquire and release them.

    A daemon thread ends those that have been idle too long; it runs only while some are idle.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: dict[PluginAddress, list[WorkerProcess]] = {}
        self._all: set[WorkerProcess] = set()
        self._closed = False
        self._trimming = False

    def acquire(self, address: PluginAddress, withheld: frozenset[str], ready_by: float) -> WorkerProcess:
        """A process whose plugin is ready by then at the latest. Raises `WorkerProcessError`.

        `withheld`: environment variables that it must not have from its start.
        """
        with self._changed:
            idle = self._idle.get(address, [])
            while idle:
                process = idle.pop()
                if process.alive and process.withheld == withheld:
                    return process
                self._all.discard(process)
                process.kill()
        process = WorkerProcess(address, withheld)
        with self._changed:
            self._all.add(process)
            closed = self._closed
        if closed:
            process.kill()
            raise WorkerProcessError("the monitor is stopping")
        try:
            process.wait_ready(ready_by)
        except BaseException:  # one that is not ready must not stay
            self.discard(process)
            raise
        return process

    def release(self, process: WorkerProcess) -> None:
        process.idle_since = time.monotonic()
        with self._changed:
            if not self._closed:
                self._idle.setdefault(process.address, []).append(process)
                self._start_trimming()
                return
        self.discard(process)

    def discard(self, process: WorkerProcess) -> None:
        with self._changed:
            self._all.discard(process)
        process.kill()

    def close(self) -> None:
        """Kill every process, busy ones too."""
        with self._changed:
            self._closed = True
            processes, self._all, self._idle = list(self._all), set(), {}
            self._changed.notify_all()
        for process in processes:
            process.kill()

    def _start_trimming(self) -> None:
        if not self._trimming:
            with contextlib.suppress(RuntimeError):  # no thread can be started: the next release tries again
                threading.Thread(target=self._trim, name="process-pool-trim", daemon=True).start()
                self._trimming = True

    def _trim(self) -> None:
        while True:
            with self._changed:
                oldest = time.monotonic() - IDLE_SECONDS
                ended = [
                    process
                    for idle in self._idle.values()
                    for process in idle
                    if process.idle_since <= oldest
                ]
                self._all.difference_update(ended)
                self._idle = {
                    address: kept
                    for address, idle in self._idle.items()
                    if (kept := [process for process in idle if process.idle_since > oldest])
                }
                if not ended:
                    since = [process.idle_since for idle in self._idle.values() for process in idle]
                    if not since:
                        self._trimming = False
                        return
                    self._changed.wait(max(0.0, min(since) - oldest))
            for process in ended:
                process.kill()


class WorkerProcess:
    """One process with one plugin, started here; `worker_process` is what runs in it.

    It serves every target of the plugin, so it starts without the secrets of any, in its environment too
    (which the system shows, and which whatever a driver starts inherits), and is given a target's own.
    """

    def __init__(self, address: PluginAddress, withheld: frozenset[str] = frozenset()) -> None:
        self.address = address
        self.withheld = withheld
        self.idle_since = time.monotonic()
        self._prepared: set[str] = set()
        self._number = 0
        self._mark = secrets.token_hex(8)
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise resource_error_in(error) or error from None
        self._given_environ: dict[str, str] = {}
        with theirs:
            self._channel = Channel(ours)
            forked_child.close_in_child(ours.fileno())
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "floe_monitor.probing.worker_process", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env={**_environment(withheld), process_tree.VARIABLE: self._mark},
                )
            except OSError as error:
                self._close_channel()
                shortage = resource_error_in(error)
                if shortage is not None:
                    raise shortage from None
                if error.errno == errno.EAGAIN:
                    raise MonitorResourceError("the monitor can start no more processes") from None
                raise WorkerProcessError(f"no worker process could be started: {error.strerror}") from error
        with contextlib.suppress(OSError):  # one that ended at once is noticed by wait_ready
            self._channel.send(address, time.monotonic() + START_SECONDS)

    @property
    def alive(self) -> bool:
        """One that has ended stays a zombie, which keeps its number, until `kill` is done with its group."""
        if sys.platform == "linux" and self._process.returncode is None:
            with contextlib.suppress(ChildProcessError):
                options = os.WEXITED | os.WNOHANG | os.WNOWAIT
                return os.waitid(os.P_PID, self._process.pid, options) is None
        return self._process.poll() is None

    def wait_ready(self, ready_by: float) -> None:
        try:
            kind, problem = self._receive(ready_by)
        except ReclaimedError:
            raise WorkerProcessError("the worker process was not ready in time") from None
        if kind == "shortage":
            raise MonitorResourceError(problem)
        if kind != "ready":
            raise WorkerProcessError(f"the plugin cannot be used in a worker process: {problem}")

    def set_environ(self, environ: dict[str, str]) -> None:
        """Have it see these variables, and none of those given before, from the next request on."""
        self._given_environ = environ

    def prepare(self, target: str, resolved: Resolved, ready_by: float) -> None:
        """Have the plugin prepare in the process, once for each target, known by its fingerprint."""
        if target in self._prepared:
            return
        self._ask(resolved, None, ready_by)
        self.wait_ready(ready_by)
        self._prepared.add(target)

    def call(self, resolved: Resolved, expires_at: float, log: CheckLog) -> ConnectionResult:
        """Validate in the process. Checks appear in `log` as they happen.

        Raises `ReclaimedError` at the deadline (the process is then to be discarded), `RaisedError` for what
        the plugin raised, `WorkerProcessError` when the process ended, `MonitorResourceError` when it was
        short of something.
        """
        self._ask(resolved, max(0.0, expires_at - time.monotonic()), expires_at)
        while True:
            kind, value = self._receive(expires_at)
            if kind == "begin":
                log.begin(*value)
            elif kind == "check":
                result, noted = value
                assert isinstance(result, CheckResult)  # noqa: S101 - our own protocol
                log.finish(result)
                log.evidence.noted = noted
            elif kind == "error":
                raise RaisedError(*value)
            elif kind == "shortage":
                raise MonitorResourceError(value)
            else:
                assert isinstance(value, ConnectionResult)  # noqa: S101 - our own protocol
                return value

    def kill(self) -> None:
        """Kill the process with everything that it has started, and reap it."""
        if self.alive:
            # It starts nothing more, and keeps what it has adopted.
            self._signal(os.kill, signal.SIGSTOP)
            process_tree.kill_descendants(self._process.pid)
        else:
            process_tree.kill_marked(self._mark)
        self._signal(os.killpg, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._close_channel()

    def _signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        """Nothing once it was waited for: its number may be another program's by then."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self._process.pid, number)

    def _close_channel(self) -> None:
        forked_child.release(self._channel.fileno())
        self._channel.close()

    def _ask(self, resolved: Resolved, seconds: float | None, until: float) -> None:
        self._number += 1
        try:
            self._channel.send((self._number, resolved, seconds, self._given_environ), until)
        except TimeoutError:
            raise ReclaimedError("the worker process took no request in time and was ended") from None
        except OSError:
            raise self._ended() from None

    def _receive(self, expires_at: float) -> tuple[str, Any]:
        """The next answer to the last request; one to an earlier request is ignored."""
        while True:
            try:
                number, kind, value = self._channel.receive(expires_at)
            except TimeoutError:
                raise ReclaimedError("the worker process gave no answer in time and was ended") from None
            except (EOFError, OSError):
                raise self._ended() from None
            except (MessageError, TypeError, ValueError):
                raise WorkerProcessError("the worker process sent what is no answer") from None
            if number == self._number:
                return kind, value

    def _ended(self) -> WorkerProcessError | MonitorResourceError:
        until = time.monotonic() + 1
        while self.alive and time.monotonic() < until:
            time.sleep(0.01)
        if self.alive:
            return WorkerProcessError("the worker process closed its connection")
        self.kill()  # while its number is still its own: what it has left in its group goes with it
        code = self._process.returncode
        if code == SHORTAGE_STATUS:
            return MonitorResourceError("the monitor has no more threads, memory or file descriptors")
        if code < 0:
            return WorkerProcessError(f"the worker process died of {signal.Signals(-code).name}")
        return WorkerProcessError(f"the worker process exited with status {code}")


def _environment(withheld: frozenset[str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in withheld}
    return {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
