"""Looks once a second for what there is to tell, channel by channel, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from floe_monitor.notifications.expiry_notices import expiry_notices
from floe_monitor.notifications.incident_notices import IncidentNotices
from floe_monitor.notifications.observation import observe
from floe_monitor.notifications.problem_notices import problem_notices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from floe_monitor.domain.liveness import Verdict
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.notifications.delivery import Delivery
    from floe_monitor.notifications.ledger import Ledger
    from floe_monitor.notifications.messages import MessageMaker
    from floe_monitor.notifications.notice import Message
    from floe_monitor.notifications.observation import Observation, Rule
    from floe_monitor.notifications.outbox import Outbox

log = logging.getLogger("floe_monitor.notifications")

LOOK_SECONDS = 1.0
EXPIRY_SECONDS = 60.0
"""How often ends are looked at, which takes a look at every target."""
MOST_PENDING = 200
"""Unsent messages of a channel, from which on nothing new is made for it: what is then is told later."""
BURST = 5
"""Messages of a channel at once; more notices become one message."""
REFILL_SECONDS = 20.0
"""Time in which a channel may have one message more."""


@dataclass(slots=True)
class Allowance:
    """How many messages a channel may have now."""

    at: float
    left: float = float(BURST)
    was_quiet: bool = False

    def refill(self, now: float) -> None:
        self.left = min(float(BURST), self.left + max(0.0, now - self.at) / REFILL_SECONDS)
        self.at = now


@dataclass(slots=True)
class Channel:
    rule: Rule
    maker: MessageMaker
    delivery: Delivery
    allowance: Allowance
    is_full: bool = False


class Notifier:
    """`lacking`: what is not installed, of a channel that is not used."""

    def __init__(
        self,
        state: MonitorState,
        verdict: Callable[[], Verdict],
        channels: Sequence[Channel],
        outbox: Outbox,
        *,
        lacking: str = "",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._verdict, self._channels, self._outbox = state, verdict, channels, outbox
        self._lacking, self._clock, self._monotonic = lacking, clock, monotonic
        self._expiries_at = -EXPIRY_SECONDS
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def start(self) -> None:
        """After the state has its targets: those that are not there count as removed."""
        try:
            for channel in self._channels:
                channel.delivery.start()
            self._thread.start()
        except RuntimeError:  # no thread can be started; probing is not to end for it
            self._state.notification_problem = "no thread could be started: no notifications are made"
            log.warning("notifications: %s", self._state.notification_problem)

    def close(self, timeout: float) -> None:
        """End after the attempts under way, and no later than after `timeout` seconds."""
        until = time.monotonic() + timeout
        self._closing.set()
        for channel in self._channels:
            channel.delivery.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        for channel in self._channels:
            channel.delivery.join(max(0.0, until - time.monotonic()))
        self._outbox.close(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.turn()
            except Exception as error:  # a fault of ours must not end the thread
                log.warning("finding what to notify of failed: %s", type(error).__name__)
                log.debug("finding what to notify of failed", exc_info=error)
            self._closing.wait(LOOK_SECONDS)

    def turn(self) -> None:
        if self._outbox.refresh():
            now = self._monotonic()
            with_expiries = now - self._expiries_at >= EXPIRY_SECONDS
            if with_expiries:
                self._expiries_at = now
            seen = observe(self._state, self._clock(), now, self._verdict, with_expiries=with_expiries)
            for channel in self._channels:
                try:
                    self._notify(channel, seen, now)
                except Exception as error:  # a fault of ours in one channel must not silence the others
                    log.warning("channel %s failed: %s", channel.rule.channel, type(error).__name__)
                    log.debug("a channel failed", exc_info=error)
        self._state.notifications = self._outbox.counts()
        self._state.notification_problem = self._outbox.problem or self._lacking

    def _notify(self, channel: Channel, seen: Observation, now: float) -> None:
        name = channel.rule.channel
        pending = self._outbox.pending(name)
        if pending >= MOST_PENDING:
            if not channel.is_full:
                log.warning(
                    "channel %s: %d messages wait; nothing is added until some are sent", name, pending
                )
            channel.is_full = True
            return
        channel.is_full = False
        before = self._outbox.ledger(name)
        ledger = compare(channel.rule, before, seen, behind=pending > 0)
        channel.allowance.refill(now)
        ledger, messages = released(channel, ledger, seen.at)
        if messages or ledger != before:
            self._outbox.commit(name, ledger, messages)
        if messages:
            channel.delivery.wake()


def compare(rule: Rule, ledger: Ledger, seen: Observation, *, behind: bool) -> Ledger:
    """The ledger after a look at what is; what there is to tell is held in it."""
    incidents = IncidentNotices(rule, ledger, seen, behind=behind)
    incidents.compare()
    problems, waiting, of_problems = problem_notices(rule, ledger, seen, behind=behind)
    expiries, of_expiries = expiry_notices(rule, ledger, seen)
    after = replace(
        ledger,
        incidents=incidents.notified,
        problems=problems,
        expiries=expiries,
        waiting={**incidents.waiting, **waiting},
    )
    return after.hold((*of_problems, *incidents.notices, *of_expiries))


def released(channel: Channel, ledger: Ledger, at: float) -> tuple[Ledger, list[Message]]:
    """What may be sent now of what is held: each notice by itself where they are few, else all in one."""
    if not ledger.held:
        return ledger, []
    allowance = channel.allowance
    if channel.rule.is_quiet(at):
        allowance.was_quiet = True
        return ledger, []
    if allowance.left < 1:
        return ledger, []
    count = len(ledger.held)
    if ledger.held_dropped or (count > 1 and (allowance.was_quiet or count > allowance.left)):
        messages = [channel.maker.several(ledger.held, ledger.held_dropped, at)]
    else:
        messages = [channel.maker.one(notice) for notice in ledger.held]
    allowance.was_quiet = False
    allowance.left -= len(messages)
    return replace(ledger, held=(), held_dropped=0), messages
