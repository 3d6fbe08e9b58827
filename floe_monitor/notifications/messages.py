"""From notices to messages: texts for people, and JSON for whatever takes a webhook."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from floe_monitor import __version__
from floe_monitor.domain.plurals import counted
from floe_monitor.domain.timestamps import moment
from floe_monitor.notifications.notice import Message, Notice
from floe_monitor.settings.message_templates import render

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("floe_monitor.notifications")

VERSION = 1
"""Of the JSON: a key that is added leaves it, one that changes or goes raises it."""
SUMMARY_SHOWS = 30
"""Notices that a summary names; the rest are counted."""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class MessageMaker:
    """Of one channel. `external_url`: where people reach the page, empty where nobody said."""

    def __init__(
        self,
        channel: str,
        monitor: str,
        external_url: str = "",
        title: str | None = None,
        body: str | None = None,
    ) -> None:
        self._channel, self._monitor, self._external_url = channel, monitor, external_url
        self._title, self._body = title, body

    def one(self, notice: Notice) -> Message:
        lines = [notice.message] if notice.message and notice.message not in notice.headline else []
        if notice.cause:
            lines.append(f"Shared: {notice.cause}")
        if notice.targets_total > 1:
            lines.append(f"Targets: {_some(notice.targets, notice.targets_total)}")
        if notice.began_at is not None:
            lines.append(f"Since: {moment(notice.began_at)}")
        if notice.began_at is not None and notice.ended_at is not None:
            lines.append(f"Lasted: {span(notice.ended_at - notice.began_at)}")
        url = self._url(notice)
        lines += [url] if url else []
        return self._message(notice.key, notice, "\n".join(lines) or notice.headline, (notice,), 0)

    def several(self, notices: Sequence[Notice], dropped: int, at: float) -> Message:
        """One message of all of them, for what was held back."""
        digest = hashlib.blake2b("\0".join(each.key for each in notices).encode(), digest_size=16)
        key = f"msg_{digest.hexdigest()}"
        total = len(notices) + dropped
        whole = Notice(
            key, "summary", at, "summary", f"{counted(total, 'notice')} since {moment(notices[0].at)}"
        )
        shown = [f"{moment(each.at)} {each.headline}" for each in notices[-SUMMARY_SHOWS:]]
        hidden = total - len(shown)
        text = "\n".join([*([f"({hidden} earlier ones are left out)"] if hidden else []), *shown])
        return self._message(key, whole, text, tuple(notices), dropped)

    def _message(
        self, key: str, notice: Notice, text: str, notices: tuple[Notice, ...], dropped: int
    ) -> Message:
        variables = self._variables(notice, text, notices)
        title = self._rendered(self._title, variables, f"[{self._monitor}] {notice.headline}")
        body = self._rendered(self._body, variables, text)
        return Message(
            key=key,
            channel=self._channel,
            event=notice.event,
            created_at=notice.at,
            title=" ".join(title.split())[:250],
            body=body,
            document={
                "version": VERSION,
                "id": key,
                "type": f"floe.{notice.event}",
                "at": moment(notice.at),
                "monitor": {"name": self._monitor, "version": __version__},
                "title": notice.headline,
                "text": text,
                "notices": [self._fields(each) for each in notices[-SUMMARY_SHOWS:]],
                "notices_total": len(notices) + dropped,
            },
        )

    def _rendered(self, template: str | None, variables: dict[str, Any], usual: str) -> str:
        """The usual text where a template fails all the same: a message is not lost for its looks."""
        if template is None:
            return usual
        try:
            made = render(template, variables)
        except ValueError as error:
            log.warning("channel %s: a template fails: %s", self._channel, error)
            return usual
        return made if made.strip() else usual

    def _variables(self, notice: Notice, text: str, notices: tuple[Notice, ...]) -> dict[str, Any]:
        lasted = None
        if notice.began_at is not None and notice.ended_at is not None:
            lasted = notice.ended_at - notice.began_at
        return {
            "event": notice.event,
            "status": notice.status,
            "headline": notice.headline,
            "text": text,
            "targets": list(notice.targets),
            "targets_total": notice.targets_total,
            "cause": notice.cause,
            "error_type": notice.error_type,
            "message": notice.message,
            "began_at": moment(notice.began_at) or "",
            "ended_at": moment(notice.ended_at) or "",
            "duration": "" if lasted is None else span(lasted),
            "reminder": notice.reminder,
            "monitor": self._monitor,
            "url": self._url(notice),
            "notices": [each.headline for each in notices] if notice.event == "summary" else [],
        }

    def _fields(self, notice: Notice) -> dict[str, Any]:
        return {
            "id": notice.key,
            "event": notice.event,
            "subject": notice.subject,
            "at": moment(notice.at),
            "headline": notice.headline,
            "status": notice.status or None,
            "cause": notice.cause or None,
            "error_type": notice.error_type or None,
            "message": notice.message,
            "targets": list(notice.targets),
            "targets_total": notice.targets_total,
            "began_at": moment(notice.began_at),
            "ended_at": moment(notice.ended_at),
            "reminder": notice.reminder,
            "ends": list(notice.ends),
            "url": self._url(notice) or None,
        }

    def _url(self, notice: Notice) -> str:
        """Of the target's page where there is one target, else of the list."""
        if not self._external_url:
            return ""
        if notice.targets_total == 1 and notice.targets:
            return f"{self._external_url}/targets/{quote(notice.targets[0], safe='')}"
        return f"{self._external_url}/"


def trial_notice(channel: str, at: float) -> Notice:
    """What the command sends."""
    return Notice(
        key=f"msg_{hashlib.blake2b(f'{channel}{at}'.encode(), digest_size=16).hexdigest()}",
        event="test",
        at=at,
        subject="test",
        headline="test: this channel works",
        message="Sent by `floe-monitor notify test`. Nothing is wrong.",
    )


def span(seconds: float) -> str:
    """In its two largest units: `2 hours 5 minutes`."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, name in _UNITS:
        count, left = divmod(left, size)
        if count and len(parts) < 2:
            parts.append(counted(count, name))
    return " ".join(parts) or "less than a second"


def _some(names: tuple[str, ...], total: int) -> str:
    more = total - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
