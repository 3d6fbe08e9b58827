"""What a validation learns besides its verdict: which server answered, what expires when, whether it sleeps.

    note_expiry(ExpiryKind.PASSWORD, valid_until, "the password of role 'dbt'")

Noted wherever it is learned, as deep as in the toolkit's TLS, and for the validation under way there: its
`Validation.result()` carries it. Outside of a validation nothing is kept, so whoever notes need not ask; in
a call of `BlockingCalls`, which may serve several at once, nothing either: what it learns it returns.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from floe_monitor.compute.models import EngineState, Expiry, ExpiryKind, ObservedState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Noted(NamedTuple):
    """What was noted up to a moment; safe to keep, to pickle and to read from another thread."""

    server_address: str = ""
    expiries: tuple[Expiry, ...] = ()
    engine_states: tuple[ObservedState, ...] = ()


MOST_STATES = 16
"""Of one validation: a few are all that there is to see."""


class Evidence:
    """Of one validation. One thread at a time notes; any may read."""

    __slots__ = ("noted",)

    def __init__(self) -> None:
        self.noted = Noted()

    def note_server(self, host: str, *, instead_of: str | None = None) -> None:
        """The first counts: what is asked later may be another service's, as that of tokens."""
        if self.noted.server_address in ("", instead_of):
            self.noted = self.noted._replace(server_address=host)

    def note_expiries(self, expiries: Iterable[Expiry]) -> None:
        self.noted = self.noted._replace(expiries=earliest((*self.noted.expiries, *expiries)))

    def note_engine_state(self, observed: ObservedState) -> None:
        seen = self.noted.engine_states
        if len(seen) < MOST_STATES:
            self.noted = self.noted._replace(engine_states=(*seen, observed))


def earliest(expiries: Iterable[Expiry]) -> tuple[Expiry, ...]:
    """Of each kind the one that comes first; in the order of the kinds."""
    found: dict[ExpiryKind, Expiry] = {}
    for expiry in expiries:
        known = found.get(expiry.what)
        if known is None or expiry.at < known.at:
            found[expiry.what] = expiry
    return tuple(found[what] for what in ExpiryKind if what in found)


_current: ContextVar[Evidence | None] = ContextVar("floe_monitor_evidence", default=None)


@contextmanager
def gathering(evidence: Evidence) -> Iterator[None]:
    """Have what is noted inside be `evidence`'s; for whoever runs a validation."""
    token = _current.set(evidence)
    try:
        yield
    finally:
        _current.reset(token)


def note_server(host: str, *, instead_of: str | None = None) -> None:
    """The name of the server that the target is, as configured: not its address, nor a proxy before it.

    The first of a validation counts, unless it is `instead_of`.
    """
    evidence = _current.get()
    if evidence is not None:
        evidence.note_server(host, instead_of=instead_of)


def note_expiry(what: ExpiryKind, at: float | None, of: str = "") -> None:
    """`at` is Unix time; None and what is not finite stand for never. `of` says whose, for a message."""
    evidence = _current.get()
    if evidence is not None and at is not None and math.isfinite(at):
        evidence.note_expiries([Expiry(what, at, of)])


def note_engine_state(state: EngineState) -> None:
    """Of an engine that rests while nobody uses it: as it is now.

    Whoever is about to wake it, where a target allows that, notes STARTING then, and RUNNING when it works:
    the monitor measures from the first STARTING to RUNNING, over several validations where it takes so long.
    """
    evidence = _current.get()
    if evidence is not None:
        evidence.note_engine_state(ObservedState(state, time.time()))


def noted() -> Noted:
    """What the validation under way has learned so far."""
    evidence = _current.get()
    return Noted() if evidence is None else evidence.noted


def repeat(before: Noted) -> None:
    """Note again what an earlier validation learned, where what it learned that from serves this one too.

    A state of the engine was one of that time.
    """
    evidence = _current.get()
    if evidence is not None:
        if before.server_address:
            evidence.note_server(before.server_address)
        evidence.note_expiries(before.expiries)
