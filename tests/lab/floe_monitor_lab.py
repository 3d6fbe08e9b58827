"""A plugin that misbehaves on request, for the tests of what surrounds plugins. A real plugin to the loader.

`connection: {behave: WORD, seconds: N}` chooses; `BEHAVIOURS` lists the words. `prepare: N` makes it take N
seconds to prepare itself, `prepare: raise` makes that fail.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import html
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

from floe_monitor.compute import (
    ComputeConfig,
    ComputeConnectionError,
    ComputePlugin,
    ConnectionResult,
    ConnectionStatus,
    EngineState,
    ErrorType,
    ExpiryKind,
    Failure,
    Validation,
    deadline,
    note_engine_state,
    note_expiry,
    note_server,
)
from floe_monitor.compute.toolkit.connection_cache import CachedConnection, ConnectionCache

FOREVER = threading.Event()
"""Never set by the plugin; a test that set it lets every hung validation return."""

HANGING = threading.Event()
"""Once a test sets it, `turn_to_hanging` hangs."""

CUT: set[str] = set()
"""Hosts that `over_the_network` does not reach; "*" stands for all."""

CALLS: list[str] = []
"""Behaviours in the order they were called, in this process."""

HOOKS: list[str] = []
"""What was called besides, likewise."""


HELD: list[int] = []
"""Descriptors that `exhaust_descriptors` has opened."""


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class SlowToReadError(Exception):
    """Some drivers ask another process for the text."""

    def __str__(self) -> str:
        time.sleep(1.0)
        return "at last"


class ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit("from within a text")


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


class LabComputePlugin(ComputePlugin):
    @property
    def name(self) -> str:
        return "lab"

    @property
    def version(self) -> str:
        return "1.0"

    @property
    def floe_api_version(self) -> str:
        return "1.0"

    @property
    def is_self_hosted(self) -> bool:
        return True

    def prepare(self, config: ComputeConfig) -> None:
        HOOKS.append("prepare")
        wanted = config.connection.get("prepare", 0)
        if wanted == "raise":
            raise ValueError("not prepared")
        time.sleep(float(wanted))

    def shutdown(self) -> None:
        HOOKS.append("shutdown")

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        behaviour = str(config.connection.get("behave", "healthy"))
        CALLS.append(behaviour)
        if "touch" in config.connection:  # for another process to see
            Path(config.connection["touch"]).touch()
        result: ConnectionResult = BEHAVIOURS[behaviour](config)
        return result

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        secrets = {name: value.get_secret_value() for name, value in config.credentials.items()}
        return {"type": "lab", "threads": config.threads, **secrets, **config.connection}

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-core>=1.8"]


def _result(status: ConnectionStatus, message: str = "", **more: Any) -> ConnectionResult:
    return ConnectionResult(status=status, latency_ms=1.0, message=message, **more)


def _healthy(config: ComputeConfig) -> ConnectionResult:
    return _result(ConnectionStatus.HEALTHY, "fine")


def _degraded(config: ComputeConfig) -> ConnectionResult:
    return _result(ConnectionStatus.DEGRADED, "an extension is missing", error_type=ErrorType.EXTENSION)


def _unhealthy(config: ComputeConfig) -> ConnectionResult:
    return _result(ConnectionStatus.UNHEALTHY, "refused", error_type=ErrorType.CONNECTION)


def _alternate(config: ComputeConfig) -> ConnectionResult:
    """Well and ill in turns of `seconds`."""
    turn = int(time.time() // float(config.connection.get("seconds", 1)))
    return _healthy(config) if turn % 2 else _unhealthy(config)


def _sleep(config: ComputeConfig) -> ConnectionResult:
    time.sleep(float(config.connection.get("seconds", 0.1)))
    return _result(ConnectionStatus.HEALTHY, "late but well")


def _hang(config: ComputeConfig) -> ConnectionResult:
    FOREVER.wait()
    return _result(ConnectionStatus.HEALTHY, "from another age")


def _interrupt_and_hang(config: ComputeConfig) -> ConnectionResult:
    """Ctrl-C, noticed by this thread's system call and not by that of the main thread."""
    time.sleep(0.5)  # the event loop waits by now
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    return _hang(config)


def _turn_to_hanging(config: ComputeConfig) -> ConnectionResult:
    return _hang(config) if HANGING.is_set() else _healthy(config)


def _over_the_network(config: ComputeConfig) -> ConnectionResult:
    validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)))
    with validation:
        note_server(config.connection.get("host", ""))
        with validation.check("network") as check:
            if CUT & {"*", config.connection.get("host", "")}:
                check.fail("no route to host", ErrorType.CONNECTION)
        with validation.check("query"):
            pass
    return validation.result("reached")


def _hang_in_an_extension(config: ComputeConfig) -> ConnectionResult:
    validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)))
    with validation:
        with validation.check("query"):
            pass
        with validation.check("extension:x", on_timeout=ConnectionStatus.DEGRADED):
            FOREVER.wait()
    return validation.result("from another age")


def _learn(config: ComputeConfig) -> ConnectionResult:
    """What it is told of a server and its end, and perhaps no answer afterwards."""
    validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)))
    with validation:
        with validation.check("connect"):
            note_server("db.example.com")
            note_engine_state(EngineState.STARTING)
            note_expiry(ExpiryKind.PASSWORD, config.connection["ends"], "the password of role 'dbt'")
        with validation.check("query"):
            if config.connection.get("hang"):
                FOREVER.wait()
    return validation.result("learned")


def _hang_in_a_check(config: ComputeConfig) -> ConnectionResult:
    validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)))
    with validation:
        with validation.check("connect"):
            pass
        with validation.check("query"):
            FOREVER.wait()
    return validation.result("from another age")


def _obey_the_deadline(config: ComputeConfig) -> ConnectionResult:
    left = deadline.remaining()
    FOREVER.wait(left * 0.5)
    return _result(
        ConnectionStatus.UNHEALTHY, f"gave up with {left:.3f} s given", error_type=ErrorType.TIMEOUT
    )


def _raise(config: ComputeConfig) -> ConnectionResult:
    raise ValueError("it broke")


def _lack_a_driver(config: ComputeConfig) -> ConnectionResult:
    import no_such_driver  # type: ignore[import-not-found]  # noqa: F401

    raise AssertionError("it is there")


def _raise_compute_error(config: ComputeConfig) -> ConnectionResult:
    raise ComputeConnectionError("refused by the door", "abc")


def _raise_secret(config: ComputeConfig) -> ConnectionResult:
    values = [value.get_secret_value() for value in config.credentials.values()]
    raise ValueError(f"cannot log in with {values}")


def _spill(config: ComputeConfig) -> ConnectionResult:
    """Every credential in many a form, by every way out that a plugin has."""
    values = [value.get_secret_value() for value in config.credentials.values()]
    forms = [form for value in values for form in _forms(value)]
    text = " ".join(forms)
    _print(config.model_copy(update={"connection": {"words": text, "thread": True}}))
    for name in ("driver", f"driver.{values[0]}", "floe_monitor.lab"):
        logging.getLogger(name).error(f"{text} %s", text)  # noqa: G004 - what drivers do
    warnings.warn(text, stacklevel=1)
    validation = Validation(lambda error: Failure(ErrorType.QUERY, f"{type(error).__name__}: {error}"))
    with contextlib.suppress(Exception), validation.check(text) as check:
        check.warn(text)
    raise type(values[0], (Exception,), {})(text)


def _forms(value: str) -> list[str]:
    raw = value.encode()
    return [
        *(value, value.upper(), repr(value), repr(raw), json.dumps(value)),
        *(shlex.quote(value), html.escape(value)),
        *(quote(value, safe=""), quote(quote(value)), "".join(f"%{byte:02x}" for byte in raw), raw.hex()),
        *(base64.encodebytes(lead + raw).decode() for lead in (b"", b"u", b"u:")),
        *(value[:5] + between + value[5:] for between in ("\x1b[31m", "\x00", "\n")),
    ]


def _return_secret(config: ComputeConfig) -> ConnectionResult:
    values = " ".join(value.get_secret_value() for value in config.credentials.values())
    validation = Validation(lambda error: Failure(ErrorType.AUTHENTICATION, str(error)))
    with validation:
        with validation.check("connect") as check:
            check.warn(f"warned of {values}")
        with validation.check("query") as check:
            check.fail(f"denied for {values}", ErrorType.AUTHENTICATION)
    return validation.result(values)


def _raise_base(config: ComputeConfig) -> ConnectionResult:
    raise KeyboardInterrupt


def _exit(config: ComputeConfig) -> ConnectionResult:
    sys.exit(3)


def _generator_exit(config: ComputeConfig) -> ConnectionResult:
    raise GeneratorExit


def _unreadable(config: ComputeConfig) -> ConnectionResult:
    raise UnreadableError


def _raising(error: type[Exception]) -> Any:
    def validate(config: ComputeConfig) -> ConnectionResult:
        raise error

    return validate


def _unreadable_check(config: ComputeConfig) -> ConnectionResult:
    words: Any = Unreadable()
    validation = Validation(lambda error: Failure(ErrorType.QUERY, words))
    with validation:
        with validation.check("first", on_failure=ConnectionStatus.DEGRADED):
            raise ValueError
        with validation.check("second"):
            raise SystemExit(3)
    return validation.result()


def _leave_a_check_behind(config: ComputeConfig) -> ConnectionResult:
    validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)))

    def aside() -> None:
        with validation.check("slow_part"):
            time.sleep(0.3)

    threading.Thread(target=aside, daemon=True).start()
    time.sleep(0.1)
    return _healthy(config)


def _keep_connections(config: ComputeConfig) -> ConnectionResult:
    """How many connections a cache has after one was given to it."""

    class Line:
        usable = True

        def close(self) -> None: ...

    cache: ConnectionCache[Line] = ConnectionCache("lab")
    cache.keep("one", CachedConnection(Line(), time.monotonic(), 60), 60)
    return _result(ConnectionStatus.HEALTHY, f"{len(cache)} kept")


def _close_stdout(config: ComputeConfig) -> ConnectionResult:
    os.close(1)
    return _result(ConnectionStatus.HEALTHY)


def _fork(config: ComputeConfig) -> ConnectionResult:
    os.fork()
    return _result(ConnectionStatus.HEALTHY, "forked")


def _segfault(config: ComputeConfig) -> ConnectionResult:
    ctypes.string_at(0)
    raise AssertionError("still here")


def _os_exit(config: ComputeConfig) -> ConnectionResult:
    os._exit(7)


def _spawn_and_hang(config: ComputeConfig) -> ConnectionResult:
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    FOREVER.wait()
    return _result(ConnectionStatus.HEALTHY)


def _lack_descriptors(config: ComputeConfig) -> ConnectionResult:
    raise ConnectionError("unreachable") from OSError(errno.EMFILE, "Too many open files")


def _exhaust_descriptors(config: ComputeConfig) -> ConnectionResult:
    """What a driver says that cannot open a socket, in words of its own."""
    with contextlib.suppress(OSError):
        while True:
            HELD.append(os.open(os.devnull, os.O_RDONLY))
    return _result(ConnectionStatus.UNHEALTHY, "the engine is unreachable")


def _half_a_message(config: ComputeConfig) -> ConnectionResult:
    """In a worker process: onto the descriptor on which it answers."""
    os.write(int(sys.argv[1]), b"\0\0\x40\0half")
    FOREVER.wait()
    return _result(ConnectionStatus.HEALTHY)


def _no_message(config: ComputeConfig) -> ConnectionResult:
    os.write(int(sys.argv[1]), b"\0\0\0\x04junk")
    FOREVER.wait()
    return _result(ConnectionStatus.HEALTHY)


def _leave_a_grandchild(config: ComputeConfig) -> ConnectionResult:
    """One in a session of its own (not if `near`), whose parent has gone; `cleared`: without its environment
    as well. Its pid is written to `file`. `then: exit` ends this process too."""
    script = f"sleep 600 & echo $! >{config.connection['file']}.new"
    environ: dict[str, str] | None = {} if config.connection.get("cleared") else None
    new = not config.connection.get("near")
    subprocess.run(["/bin/sh", "-c", script], check=True, env=environ, start_new_session=new)
    Path(f"{config.connection['file']}.new").rename(config.connection["file"])
    if config.connection.get("then") == "exit":
        os._exit(7)
    FOREVER.wait()
    return _result(ConnectionStatus.HEALTHY)


def _fork_and_stay(config: ComputeConfig) -> ConnectionResult:
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    return _result(ConnectionStatus.HEALTHY, str(child))


def _wander(config: ComputeConfig) -> ConnectionResult:
    os.chdir("/")
    os.umask(0o777)
    time.sleep(float(config.connection.get("seconds", 0)))
    return _result(ConnectionStatus.HEALTHY)


def _hold_the_lock(config: ComputeConfig) -> ConnectionResult:
    """Native code that keeps the interpreter's lock, and so stops every thread."""
    ctypes.PyDLL(None).sleep(600)
    return _result(ConnectionStatus.HEALTHY)


def _forbid_threads(config: ComputeConfig) -> ConnectionResult:
    """From here on as at the limit on threads, for Python's own."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    threading._start_new_thread = refuse  # type: ignore[attr-defined]
    return _result(ConnectionStatus.HEALTHY)


def _tell_pid(config: ComputeConfig) -> ConnectionResult:
    return _result(ConnectionStatus.HEALTHY, str(os.getpid()))


def _tell_hooks(config: ComputeConfig) -> ConnectionResult:
    return _result(ConnectionStatus.HEALTHY, " ".join(HOOKS))


def _tell_credentials(config: ComputeConfig) -> ConnectionResult:
    lengths = {name: len(value.get_secret_value()) for name, value in config.credentials.items()}
    return _result(ConnectionStatus.HEALTHY, f"lengths {lengths}")


def _tell_environ(config: ComputeConfig) -> ConnectionResult:
    """Which of the variables named are seen here, by a child of this process, in what the system shows."""
    names = str(config.connection["names"]).split()
    here = [name for name in names if name in os.environ]
    child = subprocess.run(["env"], capture_output=True, text=True, check=True, timeout=60)
    below = [name for name in names if f"\n{name}=" in f"\n{child.stdout}"]
    shown = Path("/proc/self/environ").read_text(errors="replace")
    started = [name for name in names if f"\0{name}=" in f"\0{shown}"]
    return _result(ConnectionStatus.HEALTHY, f"{os.getpid()}: {here} {below} {started}")


def _print(config: ComputeConfig) -> ConnectionResult:
    """What `words` says, everywhere a plugin may print, from a thread of its own too."""
    words = str(config.connection["words"])

    def everywhere() -> None:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            print(words, file=stream)
            if stream is not None and hasattr(stream, "buffer"):
                stream.buffer.write(words.encode())
        with contextlib.suppress(ValueError):
            raise ValueError(words)
        traceback.print_stack()

    everywhere()
    if config.connection.get("thread"):
        thread = threading.Thread(target=everywhere, name=words)
        thread.start()
        thread.join()
    return _result(ConnectionStatus.HEALTHY, "fine")


BEHAVIOURS: dict[str, Any] = {
    "alternate": _alternate,
    "healthy": _healthy,
    "degraded": _degraded,
    "unhealthy": _unhealthy,
    "sleep": _sleep,
    "hang": _hang,
    "turn_to_hanging": _turn_to_hanging,
    "learn": _learn,
    "over_the_network": _over_the_network,
    "hang_in_a_check": _hang_in_a_check,
    "hang_in_an_extension": _hang_in_an_extension,
    "obey_the_deadline": _obey_the_deadline,
    "raise": _raise,
    "lack_a_driver": _lack_a_driver,
    "raise_compute_error": _raise_compute_error,
    "raise_secret": _raise_secret,
    "return_secret": _return_secret,
    "spill": _spill,
    "raise_base": _raise_base,
    "exit": _exit,
    "generator_exit": _generator_exit,
    "unreadable": _unreadable,
    "slow_to_read": _raising(SlowToReadError),
    "exiting_text": _raising(ExitingError),
    "unreadable_check": _unreadable_check,
    "leave_a_check_behind": _leave_a_check_behind,
    "keep_connections": _keep_connections,
    "nothing": lambda config: None,
    "a_string": lambda config: "healthy",
    "a_dictionary": lambda config: {"status": "healthy"},
    "negative_latency": lambda config: ConnectionResult(ConnectionStatus.HEALTHY, -5.0),
    "infinite_latency": lambda config: ConnectionResult(ConnectionStatus.HEALTHY, float("inf")),
    "megabyte": lambda config: _result(ConnectionStatus.UNHEALTHY, "x" * 1_000_000),
    "binary": lambda config: _result(ConnectionStatus.UNHEALTHY, b"\xff\xfe\x00\x80bin"),  # type: ignore[arg-type]
    "surrogates": lambda config: _result(ConnectionStatus.UNHEALTHY, "lone \ud800 half"),
    "close_stdout": _close_stdout,
    "fork": _fork,
    "segfault": _segfault,
    "os_exit": _os_exit,
    "spawn_and_hang": _spawn_and_hang,
    "interrupt_and_hang": _interrupt_and_hang,
    "lack_descriptors": _lack_descriptors,
    "lack_memory": _raising(MemoryError),
    "exhaust_descriptors": _exhaust_descriptors,
    "half_a_message": _half_a_message,
    "no_message": _no_message,
    "leave_a_grandchild": _leave_a_grandchild,
    "fork_and_stay": _fork_and_stay,
    "wander": _wander,
    "hold_the_lock": _hold_the_lock,
    "forbid_threads": _forbid_threads,
    "tell_pid": _tell_pid,
    "tell_hooks": _tell_hooks,
    "tell_environ": _tell_environ,
    "print": _print,
    "tell_credentials": _tell_credentials,
}
