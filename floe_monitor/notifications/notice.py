"""What there is to tell a channel, and the message that is made of it: values, and their JSON."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Event = Literal["unhealthy", "degraded", "recovered", "expiry", "monitor", "summary", "test"]
"""As in the configuration; `summary` stands for several, `test` is what the command sends."""

NAMES_KEPT = 20
"""Targets named in one notice; the rest are counted."""
MESSAGE_KEPT = 1000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. Times are Unix time. `subject`: the incident's id, or what else it is about.

    `key` is made once, and sent with each attempt: receivers know repetitions by it.
    """

    key: str
    event: Event
    at: float
    subject: str
    headline: str
    status: str = ""
    cause: str = ""
    error_type: str = ""
    message: str = ""
    targets: tuple[str, ...] = ()
    targets_total: int = 0
    began_at: float | None = None
    ended_at: float | None = None
    reminder: int = 0
    """How many times it was told before."""
    ends: tuple[str, ...] = ()
    """The subjects that are over with this: its own, and those that had become one with it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, made once: a repetition under its key has the same bytes."""

    key: str
    channel: str
    event: Event
    created_at: float
    title: str
    body: str
    document: Mapping[str, Any] = field(default_factory=dict)
    """As a webhook gets it."""
    attempts: int = 0
    refusals: int = 0
    """Of these, those in which the receiver refused the message for what it is."""
    due_at: float = 0.0
    error: str = ""
    """Why the last attempt failed; never a secret."""


def key_of(channel: str, subject: str, event: str, number: int) -> str:
    """`msg_` and 32 hexadecimal digits."""
    text = f"{channel}\0{subject}\0{event}\0{number}"
    return f"msg_{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def to_json(value: Notice | Message) -> dict[str, Any]:
    return asdict(value)


def notice_from_json(body: Any) -> Notice | None:
    """None for what no version of this program has written."""
    found = _made(Notice, body)
    if found is None or not _is_event(found.event):
        return None
    try:
        return replace(found, targets=tuple(map(str, found.targets)), ends=tuple(map(str, found.ends)))
    except TypeError:
        return None


def message_from_json(body: Any) -> Message | None:
    """As `notice_from_json`."""
    found = _made(Message, body)
    sound = (
        found is not None
        and _is_event(found.event)
        and isinstance(found.document, dict)
        and all(isinstance(each, str) for each in (found.key, found.channel, found.title, found.body))
        and all(isinstance(each, int | float) for each in (found.created_at, found.due_at))
        and all(isinstance(each, int) for each in (found.attempts, found.refusals))
    )
    return found if sound else None


def _is_event(value: object) -> bool:
    return value in get_args(Event)


def _made(kind: type[_T], body: Any) -> _T | None:
    """Keys of a newer version are passed over."""
    if not isinstance(body, dict):
        return None
    known = {each.name for each in fields(cast("Any", kind))}
    try:
        return kind(**{name: value for name, value in body.items() if name in known})
    except TypeError:
        return None
