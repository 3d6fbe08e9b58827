"""What another program answers: objects of JSON, and errors of its protocol."""

from __future__ import annotations

import pytest

from floe_monitor.compute import ComputeConnectionError
from floe_monitor.compute.toolkit.bounded_socket import ProtocolError
from floe_monitor.compute.toolkit.responses import json_object, protocol_errors_as


class UnexpectedAnswerError(Exception):
    """As a plugin has its own."""


@pytest.mark.parametrize("body", [b'{"state": "RUNNING"}', '{"state": "RUNNING"}'])
def test_an_object_is_read(body: bytes | str) -> None:
    assert json_object(body) == {"state": "RUNNING"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"text"', b"null", b"\xff\xfe", b"[" * 200_000])
def test_anything_else_is_an_empty_one(body: bytes) -> None:
    assert json_object(body) == {}


def test_another_protocol_is_the_plugins_own_error() -> None:
    with (
        pytest.raises(UnexpectedAnswerError, match="not HTTP") as raised,
        protocol_errors_as(UnexpectedAnswerError),
    ):
        raise ProtocolError("not HTTP")
    assert isinstance(raised.value.__cause__, ProtocolError)


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(ComputeConnectionError, match="reset"), protocol_errors_as(UnexpectedAnswerError):
        raise ComputeConnectionError("reset")
