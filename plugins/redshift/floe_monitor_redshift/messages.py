"""The messages of Postgres' protocol 3.0, as far as a login and simple statements need them."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from floe_monitor_redshift.errors import ServerError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

TLS_REQUEST = struct.pack("!II", 8, 80877103)
TERMINATE = b"X\x00\x00\x00\x04"
SYNC = b"S\x00\x00\x00\x04"
HEAD = 5
LONGEST = 1 << 20
"""Bytes of one message; those of a probe have a few hundred."""
_PROTOCOL = 3 << 16
Row = tuple[str | None, ...]


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    body = struct.pack("!I", _PROTOCOL) + pairs + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def head(data: bytes) -> tuple[bytes, int]:
    """The kind of a message, and the bytes of its body that follow."""
    kind, length = data[:1], int.from_bytes(data[1:HEAD], "big") - 4
    if not kind.isalpha() or not 0 <= length <= LONGEST:
        raise UnexpectedAnswerError("the answer is not in the protocol of Redshift")
    return kind, length


def number(body: bytes, place: int) -> int:
    """The four bytes there."""
    found = body[place : place + 4]
    if len(found) != 4:
        raise UnexpectedAnswerError("an answer of the server is shorter than it says")
    return int.from_bytes(found, "big")


def error_in(body: bytes) -> ServerError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return ServerError(fields.get(b"C", "")[:5], fields.get(b"M", ""))


def row_in(body: bytes) -> Row:
    """Values as texts: the format of the simple query."""
    values: list[str | None] = []
    place = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        length = number(body, place)
        place += 4
        if length == 0xFFFFFFFF:
            values.append(None)
            continue
        if place + length > len(body):
            raise UnexpectedAnswerError("an answer of the server is shorter than it says")
        values.append(body[place : place + length].decode(errors="replace"))
        place += length
    return tuple(values)


def setting_in(body: bytes) -> tuple[str, str]:
    name, _, value = body.rstrip(b"\0").partition(b"\0")
    return name.decode(errors="replace"), value.decode(errors="replace")


# ---------------------------------------------------------------- proofs of a password


def md5_proof(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return message(b"p", f"md5{outer}".encode() + b"\0")


def digest_proof(body: bytes, password: str, nonce: bytes) -> bytes:
    """Of Redshift's own kind of login, for passwords that it keeps as a salted SHA-256.

    `body` is the server's request: its kind, an algorithm, a salt and a nonce, each of the last two with its
    length before it.
    """
    if number(body, 4) != 0:
        raise UnexpectedAnswerError("the server asks for a digest that dbt's driver does not know either")
    salt, place = _counted(body, 8)
    server_nonce, _ = _counted(body, place)
    stored = hashlib.sha256(password.encode() + salt).digest()
    proof = hashlib.sha256(stored + server_nonce + nonce).digest()
    parts = (part for text in (proof, nonce) for part in (struct.pack("!I", len(text)), text))
    return message(b"d", b"".join(parts))


def _counted(body: bytes, place: int) -> tuple[bytes, int]:
    """The bytes there, after their number; and the place behind them."""
    length = number(body, place)
    if place + 4 + length > len(body):
        raise UnexpectedAnswerError("an answer of the server is shorter than it says")
    return body[place + 4 : place + 4 + length], place + 4 + length
