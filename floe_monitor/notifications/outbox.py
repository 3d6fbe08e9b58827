"""What was told, and what is still to be sent: in memory, and in a store for the next process.

Memory is what holds: a store that cannot be written is told of once and tried again, and messages go on.
Safe in any thread.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from floe_monitor.domain.state import ChannelCounts
from floe_monitor.domain.stores import StoreError, StoreTakenError
from floe_monitor.notifications.ledger import Ledger, ledger_changes, ledger_from_rows, ledger_rows
from floe_monitor.notifications.notice import message_from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from floe_monitor.domain.stores import Store
    from floe_monitor.notifications.notice import Message

log = logging.getLogger("floe_monitor.notifications")

CHECK_SECONDS = 5.0
"""How often it is made sure that the store is still there and ours."""
REOPEN_SECONDS = 5.0
"""How often a store that another has, or that cannot be written, is tried again."""


class Outbox:
    """`taken`: another monitor has the store and sends, so that there is nothing to do here.

    Nothing is sent while it is not known who has the store: `Store.settling` and `Store.patience`.
    """

    def __init__(self, channels: Sequence[str], store: Store | None, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._ledgers = {name: Ledger() for name in channels}
        self._pending: dict[str, deque[tuple[int, Message]]] = {name: deque() for name in channels}
        self._counts = {name: ChannelCounts() for name in channels}
        self._next = 0
        self._is_open = False
        self._was_read = False
        self._tried_at = -REOPEN_SECONDS
        self._checked_at = self._mute_until = -REOPEN_SECONDS
        self.taken = False
        self.problem = ""
        """Why nothing outlives the process now; empty where it does, or nobody asked for it."""

    def refresh(self) -> bool:
        """Open the store where it is not, and time for it. Whether this monitor is the one that sends."""
        with self._lock:
            now = self._monotonic()
            if self._store is not None and self._is_open and now - self._checked_at >= CHECK_SECONDS:
                self._checked_at = now
                self._check(self._store)
            if self._store is not None and not self._is_open and now - self._tried_at >= REOPEN_SECONDS:
                self._open(self._store)
            return self._sends

    @property
    def _sends(self) -> bool:
        return not self.taken and self._monotonic() >= self._mute_until

    def ledger(self, channel: str) -> Ledger:
        with self._lock:
            return self._ledgers[channel]

    def pending(self, channel: str) -> int:
        return len(self._pending[channel])

    def counts(self) -> dict[str, ChannelCounts]:
        with self._lock:
            return {
                name: replace(counts, pending=len(self._pending[name]), held=len(self._ledgers[name].held))
                for name, counts in self._counts.items()
            }

    def commit(self, channel: str, ledger: Ledger, messages: Sequence[Message]) -> None:
        """That these are to be sent, together with that they count as told."""
        with self._lock:
            changed, ended = ledger_changes(self._ledgers[channel], ledger)
            put = {f"ledger/{channel}/{key}": row for key, row in changed.items()}
            gone = [f"ledger/{channel}/{key}" for key in ended]
            self._ledgers[channel] = ledger
            for message in messages:
                put[self._add(message)] = to_json(message)
            self._write(put, gone)

    def head(self, channel: str) -> Message | None:
        """The next to be sent: a channel's messages keep their order."""
        with self._lock:
            queue = self._pending[channel]
            return queue[0][1] if queue and self._sends else None

    def delivered(self, channel: str, message: Message) -> None:
        self._finish(channel, message, sent=True)

    def bury(self, channel: str, message: Message) -> None:
        """It will not be sent any more."""
        self._finish(channel, message, sent=False)

    def postpone(self, channel: str, message: Message) -> None:
        """`message` as it is after an attempt that failed."""
        with self._lock:
            counts = self._counts[channel]
            self._counts[channel] = replace(counts, failed=counts.failed + 1)
            queue = self._pending[channel]
            if queue and queue[0][1].key == message.key:
                number = queue[0][0]
                queue[0] = (number, message)
                self._write({_row(channel, number): to_json(message)}, [])

    def close(self, timeout: float = -1.0) -> None:
        """Within `timeout` seconds where that is not negative: a call to the store that hangs has the lock,
        and the end of the process closes what that has open."""
        if not self._lock.acquire(timeout=timeout):
            return
        try:
            if self._store is not None:
                self._store.close()
                self._is_open = False
        finally:
            self._lock.release()

    # ------------------------------------------------------------ under the lock

    def _add(self, message: Message) -> str:
        self._next += 1
        self._pending[message.channel].append((self._next, message))
        return _row(message.channel, self._next)

    def _finish(self, channel: str, message: Message, *, sent: bool) -> None:
        with self._lock:
            counts = self._counts[channel]
            if sent:
                self._counts[channel] = replace(counts, sent=counts.sent + 1)
            else:
                self._counts[channel] = replace(counts, failed=counts.failed + 1, dead=counts.dead + 1)
            queue = self._pending[channel]
            if queue and queue[0][1].key == message.key:
                number, _ = queue.popleft()
                self._write({}, [_row(channel, number)])

    def _write(self, put: Mapping[str, Any], gone: Sequence[str]) -> None:
        if self._store is None or not self._is_open or not (put or gone):
            return
        try:
            self._store.write(put, gone)
        except StoreError as error:
            self._fail(self._store, error)

    def _check(self, store: Store) -> None:
        try:
            store.check()
        except StoreError as error:
            self._fail(store, error)

    def _open(self, store: Store) -> None:
        self._tried_at = self._monotonic()
        try:
            found = store.open()
            if not self._was_read:
                self._take_up(found)
            store.replace(self._rows())
        except StoreTakenError as error:
            store.close()
            if not self.taken:
                log.info("notifications are sent by another monitor: %s", error)
            self._stand_by()
        except StoreError as error:
            self._fail(store, error)
        else:
            if self.taken:
                log.info("notifications are sent by this monitor from now on")
            elif self.problem:
                log.warning("what is to be sent is written again: %s", store.name)
            self._is_open = self._was_read = True
            self.taken, self.problem = False, ""
            self._checked_at = self._monotonic()
            self._mute_until = self._checked_at + store.settling

    def _fail(self, store: Store, error: StoreError) -> None:
        """Who sends goes on from memory; who does not must not begin, for it does not know what was told."""
        store.close()
        if self._is_open:
            self._mute_until = self._monotonic() + store.patience
        self._is_open = False
        self._tried_at = self._monotonic()
        if self.taken:
            return
        if not self.problem:
            log.warning(
                "what is told and to be sent is kept in memory alone, and lost with the process: %s", error
            )
        self.problem = str(error)

    def _stand_by(self) -> None:
        """What is in memory is the other's business now, and will be another when it comes back."""
        self.taken, self._was_read, self.problem = True, False, ""
        for name, queue in self._pending.items():
            queue.clear()
            self._ledgers[name] = Ledger()

    def _take_up(self, found: Mapping[str, Any]) -> None:
        """What a former process, or another monitor, has left; before what has come up here meanwhile."""
        ledgers: dict[str, dict[str, Any]] = {name: {} for name in self._ledgers}
        left: dict[str, list[Message]] = {name: [] for name in self._ledgers}
        for key in sorted(found):
            kind, _, rest = key.partition("/")
            channel, _, row = rest.partition("/")
            if channel not in ledgers:
                continue
            if kind == "ledger":
                ledgers[channel][row] = found[key]
            elif kind == "message" and (message := message_from_json(found[key])) is not None:
                left[channel].append(message)
        for name, own in self._ledgers.items():
            known = ledger_from_rows({**ledgers[name], **ledger_rows(own)})
            self._ledgers[name] = replace(known, waiting=own.waiting)
            former = {message.key for message in left[name]}
            later = [message for _, message in self._pending[name] if message.key not in former]
            self._pending[name] = deque()
            for message in (*left[name], *later):
                self._add(replace(message, channel=name))

    def _rows(self) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for name, ledger in self._ledgers.items():
            rows.update((f"ledger/{name}/{key}", row) for key, row in ledger_rows(ledger).items())
        for name, queue in self._pending.items():
            rows.update((_row(name, number), to_json(message)) for number, message in queue)
        return rows


def _row(channel: str, number: int) -> str:
    """Sorted, they are in the order in which they are sent."""
    return f"message/{channel}/{number:012d}"
