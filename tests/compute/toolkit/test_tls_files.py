"""The files of TLS within a deadline, and what is known of them before and after."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeTimeoutError,
    Deadline,
    Expiry,
    ExpiryKind,
)
from floe_monitor.compute.evidence import Evidence, gathering
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor.compute.toolkit.tls_files import LoadedTls, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = ("certificates", "/roots.pem")


@pytest.fixture
def context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def hanging(context: ssl.SSLContext) -> Iterator[Callable[[], LoadedTls]]:
    """As a file on a network's file system that does not answer, up to the end of the test."""
    answer = threading.Event()

    def load() -> LoadedTls:
        answer.wait(60)
        return LoadedTls("late", context)

    yield load
    answer.set()


def test_what_was_read(context: ssl.SSLContext) -> None:
    files = TlsFiles(BlockingCalls(), KEY, lambda: LoadedTls("1", context))
    files.read(Deadline.after(60))
    assert files.version == "1"
    assert files.context() is context


def test_where_nothing_was_read(context: ssl.SSLContext) -> None:
    def load() -> LoadedTls:
        raise AssertionError("nobody asked")

    files = TlsFiles(BlockingCalls(), KEY, load)
    assert files.version == ""
    assert files.context() is tls_context()
    assert TlsFiles(BlockingCalls(), KEY, load, otherwise=lambda: context).context() is context


def test_files_that_never_answer(hanging: Callable[[], LoadedTls], within: Any) -> None:
    calls = BlockingCalls()
    files = TlsFiles(calls, KEY, hanging)
    with (
        within(0.3),
        pytest.raises(ComputeTimeoutError, match=r"^no answer in time while reading the files of TLS$"),
    ):
        files.read(Deadline.after(0.3))
    assert calls.pending == 1
    assert files.version == ""
    assert files.context() is tls_context()


def test_another_validation_waits_for_the_same_call(
    hanging: Callable[[], LoadedTls], context: ssl.SSLContext
) -> None:
    calls = BlockingCalls(limit=1)
    for _ in range(3):
        with pytest.raises(ComputeTimeoutError, match="no answer in time"):
            TlsFiles(calls, KEY, hanging).read(Deadline.after(0.05))
    other = TlsFiles(calls, ("certificates", "/other.pem"), lambda: LoadedTls("1", context))
    with pytest.raises(
        ComputeTimeoutError,
        match=r"^1 earlier calls are still without an answer while reading the files of TLS$",
    ):
        other.read(Deadline.after(60))


def test_what_is_wrong_with_a_file_is_said_as_it_is() -> None:
    def load() -> LoadedTls:
        raise ComputeConfigurationError("no PEM")

    files = TlsFiles(BlockingCalls(), KEY, load)
    with pytest.raises(ComputeConfigurationError, match=r"^no PEM$"):
        files.read(Deadline.after(60))


@pytest.mark.parametrize("ends", [90.0, None])
def test_the_end_of_the_clients_certificate_is_noted(context: ssl.SSLContext, ends: float | None) -> None:
    evidence = Evidence()
    with gathering(evidence):
        TlsFiles(BlockingCalls(), KEY, lambda: LoadedTls("1", context, ends)).read(Deadline.after(60))
    expected = () if ends is None else (Expiry(ExpiryKind.KEY, ends, "the client's certificate"),)
    assert evidence.noted.expiries == expected
