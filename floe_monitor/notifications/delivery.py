"""Sends a channel's messages one after another, in a thread of its own: one that hangs delays no other.

What fails is tried again with growing pauses until it is too old; what the receiver refuses for what it is,
a few times.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from floe_monitor.notifications.transports import SendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.notifications.notice import Message
    from floe_monitor.notifications.outbox import Outbox
    from floe_monitor.notifications.transports import Transport

log = logging.getLogger("floe_monitor.notifications")

LONGEST_PAUSE = 300.0
MOST_REFUSALS = 5
"""Of a message for what it is: others wait behind it. What failed for another reason does not count."""
LOOK_SECONDS = 1.0
LONGEST_WAIT = 3600.0
"""Before an attempt that a former process has put off, whatever the clock says."""


class Delivery:
    def __init__(
        self,
        channel: str,
        transport: Transport,
        outbox: Outbox,
        give_up: float,
        *,
        first_pause: float = 1.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        randomness: Callable[[], float] = random.random,
    ) -> None:
        """`give_up`: seconds after which a message is not tried any more."""
        self.channel = channel
        self._transport, self._outbox, self._give_up = transport, outbox, give_up
        self._first_pause, self._randomness = first_pause, randomness
        self._clock, self._monotonic = clock, monotonic
        self._put_off = "", 0.0
        """The key of the message that waits, and until when: a clock that is set back prolongs no pause."""
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify-{channel}", daemon=True)
        self._failing = ""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def stop(self) -> None:
        """After the attempt under way."""
        self._closing.set()
        self._wake.set()

    def join(self, timeout: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                pause = self.turn()
            except Exception as error:  # a fault of ours must not end the thread
                log.warning("channel %s: unexpected %s", self.channel, type(error).__name__)
                log.debug("sending failed", exc_info=error)
                pause = LOOK_SECONDS
            if pause > 0:
                self._wake.wait(pause)

    def turn(self) -> float:
        """Send what is due, one message at most. How long there is nothing to do, in seconds."""
        message = self._outbox.head(self.channel)
        if message is None:
            return LOOK_SECONDS
        now = self._monotonic()
        if self._put_off[0] != message.key:
            left = min(max(0.0, message.due_at - self._clock()), LONGEST_WAIT)
            self._put_off = message.key, now + left
        if now < self._put_off[1]:
            return min(self._put_off[1] - now, LOOK_SECONDS)
        try:
            self._transport.send(message)
        except SendError as error:
            self._failed(message, error)
        except Exception as error:  # noqa: BLE001 - as above; the text may quote an address
            self._failed(message, SendError(f"unexpected {type(error).__name__}"))
        else:
            self._outbox.delivered(self.channel, message)
            log.info("channel %s: sent %s: %s", self.channel, message.key, message.title)
            if self._failing:
                log.info("channel %s: messages are taken again", self.channel)
            self._failing = ""
        return 0.0

    def _failed(self, message: Message, error: SendError) -> None:
        now, attempts = self._clock(), message.attempts + 1
        refusals = message.refusals + error.refused
        refused = error.refused and refusals >= MOST_REFUSALS
        if refused or now - message.created_at >= self._give_up:
            self._outbox.bury(self.channel, message)
            log.error(
                "channel %s: a message is given up after %d attempts: %s: %s",
                self.channel,
                attempts,
                message.title,
                error,
            )
            return
        if not self._failing:
            log.warning("channel %s: a message was not sent, and is tried again: %s", self.channel, error)
        self._failing = str(error)
        pause = max(self._pause(attempts), error.retry_after or 0.0)
        self._put_off = message.key, self._monotonic() + pause
        due = now + pause
        later = replace(message, attempts=attempts, refusals=refusals, due_at=due, error=str(error)[:300])
        self._outbox.postpone(self.channel, later)

    def _pause(self, attempts: int) -> float:
        """Twice as long each time, and between half and all of it, so that many monitors do not come at
        once."""
        whole = min(LONGEST_PAUSE, self._first_pause * 2.0 ** min(attempts - 1, 20))
        return whole * (0.5 + self._randomness() / 2)
