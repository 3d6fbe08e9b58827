"""Reading the native protocol: whatever a server sends is an answer or an error, and bounded in size."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from floe_monitor_clickhouse import native_protocol
from floe_monitor_clickhouse.errors import ServerError, UnexpectedAnswerError
from floe_monitor_clickhouse.native_protocol import REVISION, PacketReader, text, varint
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import ComputeConnectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"


def reader(data: bytes) -> PacketReader:
    return PacketReader(io.BufferedReader(io.BytesIO(data)))


def block(columns: Sequence[tuple[str, bytes]], rows: int) -> bytes:
    parts = b"".join(text("c") + text(kind) + data for kind, data in columns)
    return b"\x01" + text("") + INFO + varint(len(columns)) + varint(rows) + parts


@given(st.integers(0, 2**63 - 1))
def test_numbers(number: int) -> None:
    assert reader(varint(number)).varint() == number


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_texts(value: str) -> None:
    assert reader(text(value)).text() == value


@given(st.binary(max_size=400))
def test_whatever_comes_ends_in_rows_or_an_error(data: bytes) -> None:
    for read in (lambda: reader(data).hello(), lambda: reader(data).answer(REVISION)):
        try:
            read()
        except (UnexpectedAnswerError, ServerError, ComputeConnectionError):
            continue


def test_rows_of_several_blocks() -> None:
    progress = b"\x03" + varint(1) * 5
    profile = b"\x06" + varint(1) * 3 + b"\x00" + varint(0) + b"\x00"
    first = block([("String", text("a") + text("")), ("UInt8", b"\x01\x02")], 2)
    second = block([("String", text("ü")), ("Int16", b"\xff\xff")], 1)
    answer = progress + block([], 0) + first + second + profile + b"\x05"
    assert reader(answer).answer(REVISION) == [["a", "1"], ["", "2"], ["ü", "-1"]]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"HTTP/1.1 400 Bad Request", "answers in HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "speaks TLS"),
        (b"\x7f", "packet 127"),
        (block([("Float64", b"\0" * 8)], 1), "type Float64"),
        (block([("String", b"")], 2**40), "values"),
        (b"\x01" + varint(2**62), "too long"),
        (b"\x80" * 20, "a number without end"),
    ],
)
def test_what_is_no_answer(data: bytes, says: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=says):
        reader(data).answer(REVISION)


def test_an_answer_that_ends_early() -> None:
    with pytest.raises(ComputeConnectionError, match="in the middle"):
        reader(block([("String", text("whole"))], 1)[:-2]).answer(REVISION)


def test_an_exception_with_its_cause() -> None:
    one = b"\x10\x00\x00\x00" + text("DB::Exception") + text("DB::Exception: bad") + text("stack")
    other = b"\x11\x00\x00\x00" + text("x") + text("y") + text("z")
    with pytest.raises(ServerError, match=r"^bad \(code 16\)$"):
        reader(b"\x02" + one + b"\x01" + other + b"\x00").answer(REVISION)


@pytest.mark.parametrize(("revision", "knows"), [(54412, False), (REVISION, True)])
def test_settings_go_to_servers_that_take_them_as_text(revision: int, knows: bool) -> None:
    sent = native_protocol.query("SELECT 1", {"max_threads": "2"}, "client", revision)
    assert (b"max_threads" in sent) is knows
    assert b"SELECT 1" in sent
