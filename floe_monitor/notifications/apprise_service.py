"""Over a hundred services through Apprise, whose calls may hang: they run in a thread that can be abandoned.

Apprise's addresses hold tokens, and its log and errors may quote them: of what it says only HTTP's status and
the name of the service get any farther.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.env_references import UnresolvedError
from floe_monitor.compute.toolkit.worker_thread import WorkerThread
from floe_monitor.notifications.transports import SendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute.toolkit.worker_thread import Call
    from floe_monitor.credentials.references import Reference
    from floe_monitor.notifications.notice import Message

MOST_ABANDONED = 3
"""Calls of one channel that have not returned; until one does no other is made."""
_STATUS = re.compile(r"error=(\d{3})\b")
_TYPES = {"unhealthy": "failure", "degraded": "warning", "expiry": "warning", "recovered": "success"}
_quiet = threading.Lock()


class AppriseService:
    """A `Transport`. The address is read at each attempt."""

    def __init__(self, reference: Reference, timeout: float, environ: Mapping[str, str]) -> None:
        """`ImportError` where Apprise is not installed."""
        import apprise  # noqa: PLC0415 - 36 MB, for those who have such a channel

        self._apprise = apprise
        self._reference, self._timeout, self._environ = reference, timeout, environ
        self._worker: WorkerThread | None = None
        self._abandoned: list[Call[None]] = []
        _withhold_log()

    def send(self, message: Message) -> None:
        try:
            url = self._reference.read(self._environ)
        except UnresolvedError as error:
            raise SendError(f"its address: {error}") from None
        self._abandoned = [call for call in self._abandoned if not call.done.is_set()]
        if len(self._abandoned) >= MOST_ABANDONED:
            raise SendError(f"{len(self._abandoned)} earlier calls to the service still hang")
        try:
            self._worker = self._worker or WorkerThread("apprise", "a notification")
        except MonitorResourceError as error:
            raise SendError(str(error)) from None
        call = self._worker.submit(lambda: self._notify(url, message))
        if not call.done.wait(self._timeout):
            self._worker.end()  # once its call has returned
            self._worker = None
            self._abandoned.append(call)
            raise SendError(f"the service has not answered within {self._timeout:g} s")
        if isinstance(call.error, SendError):
            raise call.error
        if call.error is not None:  # its text may quote the address
            raise SendError(f"the service failed: {type(call.error).__name__}")

    def _notify(self, url: str, message: Message) -> None:
        service = self._apprise.Apprise(asset=self._asset())
        if not service.add(url):
            raise SendError("its address is none that Apprise knows: see the service's page of Apprise")
        said = service.notify(
            title=message.title, body=message.body, notify_type=_TYPES.get(message.event, "info")
        )
        if not said:
            raise SendError(_reason(said))

    def _asset(self) -> Any:
        """Without pictures from a public site, without files, and with no redirect counted as success."""
        return self._apprise.AppriseAsset(
            app_id="floe-monitor",
            app_desc="floe-monitor",
            image_url_mask="",
            image_url_logo="",
            http_redirects=False,
            storage_mode="memory",
            service_timeout=self._timeout,
            allow_templates=False,
        )


def _reason(said: Any) -> str:
    try:
        statuses = {found[1] for entry in said.logs() for found in _STATUS.finditer(str(entry))}
    except (AttributeError, TypeError):  # what a version of Apprise says besides is no part of its contract
        statuses = set()
    if statuses:
        return f"the service answers {', '.join(sorted(statuses))}"
    return "the service was not reached, or has not taken it"


def _withhold_log() -> None:
    """It quotes addresses at some levels. Raised further, the results would lack what was answered."""
    with _quiet:
        quoting = logging.getLogger("apprise")
        quoting.setLevel(logging.WARNING)
        quoting.propagate = False
        if not quoting.handlers:
            quoting.addHandler(logging.NullHandler())
