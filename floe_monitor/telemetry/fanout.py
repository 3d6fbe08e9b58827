"""Passes each event to every sink, so that no sink delays the publisher or another sink.

Each sink has its own bounded queue and its own daemon thread. A thread that was woken waits a moment before
it drains, so that thousands of events per second cost a few wake-ups and not one each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.events import Event, Sink

log = logging.getLogger("floe_monitor.telemetry")

COALESCE = 0.05
"""Seconds between a wake-up and the draining: how far an exported counter may lag behind."""
REPORT_EVERY = 60.0


class Drops(Mapping[str, int]):
    """How much each sink has lost, by the sink's name. Counted from any thread, read from any thread."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(names, 0)

    def register(self, name: str) -> None:
        with self._lock:
            self._counts.setdefault(name, 0)

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + count

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(tuple(self._counts))

    def __len__(self) -> int:
        return len(self._counts)


class _SinkThread:
    """One sink with its queue and thread."""

    def __init__(self, sink: Sink, capacity: int, drops: Drops, closing: threading.Event) -> None:
        self.sink = sink
        self.queue: deque[Event] = deque()
        self.wake = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)
        self._capacity = capacity
        self._drops = drops
        self._closing = closing
        self._reported_at = -REPORT_EVERY
        self._failures = 0
        drops.register(sink.name)

    def offer(self, event: Event) -> None:
        if len(self.queue) >= self._capacity:
            self._drops.add(self.sink.name)
            return
        self.queue.append(event)
        if not self.wake.is_set():
            self.wake.set()

    def _run(self) -> None:
        while True:
            self.wake.wait()
            self._closing.wait(COALESCE)
            self.wake.clear()
            # Read after clearing `wake`: `close` sets `closing` first, then `wake`.
            closing = self._closing.is_set()
            self._drain()
            if closing and not self.queue:
                return

    def _drain(self) -> None:
        queue, handle = self.queue, self.sink.handle
        while queue:
            event = queue.popleft()
            try:
                handle(event)
            except BaseException as error:  # noqa: BLE001 - nothing a sink raises may end its thread
                self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._drops.add(self.sink.name)
        self._failures += 1
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY:
            return
        self._reported_at = now
        # The class alone: an exception's text may quote what it failed on.
        log.warning("sink %s failed %d times: %s", self.sink.name, self._failures, type(error).__name__)
        self._failures = 0


class Fanout:
    """Gives every event to every sink; `publish` is an `events.Publish`."""

    def __init__(self, sinks: Sequence[Sink], capacity: int = 10_000, drops: Drops | None = None) -> None:
        self.dropped = Drops() if drops is None else drops
        self._closing = threading.Event()
        self._sinks = tuple(_SinkThread(sink, capacity, self.dropped, self._closing) for sink in sinks)

    def start(self) -> None:
        for each in self._sinks:
            each.thread.start()

    def publish(self, event: Event) -> None:
        """From any thread; never blocks or raises. What a full queue cannot take is dropped and counted."""
        for each in self._sinks:
            each.offer(event)

    def close(self, timeout: float) -> bool:
        """Let the sinks finish what is queued, for `timeout` seconds in all. False if one did not."""
        deadline = time.monotonic() + timeout
        self._closing.set()
        for each in self._sinks:
            each.wake.set()
        for each in self._sinks:
            if each.thread.ident is not None:
                each.thread.join(max(0.0, deadline - time.monotonic()))
        unfinished = [each for each in self._sinks if each.thread.is_alive()]
        for each in unfinished:
            self.dropped.add(each.sink.name, len(each.queue))
        return not unfinished
