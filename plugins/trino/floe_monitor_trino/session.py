"""Trino's client protocol: a statement is posted, and its answer followed from page to page until the last.

Not by dbt's driver, which follows a statement for as long as the coordinator calls it queued.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from floe_monitor.compute import ComputeError, ComputeTimeoutError, Deadline
from floe_monitor.compute.toolkit.http_address import split_url
from floe_monitor.compute.toolkit.http_client import MOST_REDIRECTS
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_trino.errors import (
    HttpStatusError,
    PlainTextError,
    QueryError,
    TrinoError,
    UnexpectedAnswerError,
    UnfinishedError,
    WaitingError,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor.compute.toolkit.http_client import HttpClient
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

CANCEL_SECONDS = 0.3
"""What is kept of a probe's time to cancel a statement that is given up, or a tenth of it if that is less."""
_WAITED = 0.9
"""Seconds that the coordinator must have called a statement waiting: it holds such answers back for one."""
_FRESH = 1.5
"""Seconds after which a statement's last state is not its state any more: the coordinator has gone silent."""
_QUICK_PAGES = 16
_WAITING = frozenset({"QUEUED", "WAITING_FOR_RESOURCES", "DISPATCHING"})
_KEEPING_THE_METHOD = frozenset({307, 308})
_STARTED_TRANSACTION = "X-Trino-Started-Transaction-Id"
_TRANSACTION = "X-Trino-Transaction-Id"
_UNKNOWN = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Info:
    """What `/v1/info` says, which needs no login; of anything but Trino nothing."""

    starting: bool = False
    coordinator: bool = True
    version: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[Any]
    next_uri: str | None
    state: str
    elapsed: float
    """Seconds since the statement came, by the coordinator's clock."""
    queued: float
    """Of those, the seconds before its resource group let it begin."""
    received: float

    def given_up(self) -> TrinoError | None:
        """What its last answer says of a statement whose time is over; None where that tells nothing now.

        It does where the coordinator itself has just said so, of a statement that it has had for some time: a
        statement is in such states for a moment too, and then what ends the wait is silence.
        """
        if self.elapsed < _WAITED or time.monotonic() - self.received > _FRESH:
            return None
        if self.state not in _WAITING:
            return UnfinishedError(self.state)
        if self.state == "WAITING_FOR_RESOURCES" or self.queued < self.elapsed / 2:
            return WaitingError("the query waits for workers: fewer are active than the coordinator wants")
        return WaitingError(
            "the query is still queued: others fill the cluster, or the resource group that it belongs to"
        )


class Session:
    """Requests with the session's headers. Not for two threads at once."""

    def __init__(self, client: HttpClient, site: str, headers: Mapping[str, str], deadline: Deadline) -> None:
        self._client, self._site, self._headers = client, site, dict(headers)
        self._deadline = deadline
        self._encrypted = site.startswith("https:")
        self.info: Info | None = None
        """When it was last asked."""
        self.usable = True

    # ------------------------------------------------------------ requests

    def ask_info(self) -> Info:
        answer = self._send(
            "GET", f"{self._site}/v1/info", self._deadline, waits_for="the coordinator's state"
        )
        self.info = _info_in(answer)
        return self.info

    def run(self, sql: str, waiting_for: str = "the answer to a statement") -> list[list[Any]]:
        """The rows. Raises `QueryError` for Trino's refusal; a statement given up is cancelled."""
        return self._follow(sql, waiting_for, {})[0]

    def run_within(self, transaction: str, sql: str) -> None:
        self._follow(sql, "the answer to a statement", {_TRANSACTION: transaction})

    def keeps_to_transactions(self) -> bool:
        """Whether the id of a transaction gets to Trino, which refuses one that it does not know."""
        try:
            self.run_within(_UNKNOWN, "select 1")
        except QueryError as error:
            return error.name == "UNKNOWN_TRANSACTION"
        return False

    def begin_reading(self) -> str:
        """The id of a transaction in which Trino lets nothing be written."""
        _, transaction = self._follow("START TRANSACTION READ ONLY", "a transaction", {})
        if not transaction:
            raise UnexpectedAnswerError("the coordinator began no transaction")
        return transaction

    def _follow(
        self, sql: str, waiting_for: str, more: Mapping[str, str]
    ) -> tuple[list[list[Any]], str | None]:
        """The rows, and the id of a transaction that was begun."""
        left = self._deadline.remaining()
        until = Deadline(self._deadline.expires_at - min(CANCEL_SECONDS, left / 10))
        rows: list[list[Any]] = []
        transaction, page = None, None
        pauses = _pauses()
        try:
            answer = self._post(sql, until, waiting_for, more)
            while True:
                page = _page_in(answer)
                rows += page.rows
                transaction = answer.headers.get(_STARTED_TRANSACTION, transaction)
                if page.next_uri is None:
                    return rows, transaction
                self._refuse_plain_text(page.next_uri)
                self._pause(next(pauses), until, page)
                answer = self._send("GET", page.next_uri, until, waiting_for, more)
        except (QueryError, PlainTextError):
            raise  # the one has ended, and of the other nothing more is said
        except BaseException as error:
            if page is not None and page.next_uri is not None:
                self._cancel(page.next_uri)
                if isinstance(error, ComputeTimeoutError) and (told := page.given_up()):
                    raise told from error
            raise

    def _post(self, sql: str, until: Deadline, waiting_for: str, more: Mapping[str, str]) -> HttpAnswer:
        """Sent again where a redirect keeps the method, as the library below dbt's driver does it."""
        url, login = f"{self._site}/v1/statement", True
        for _ in range(MOST_REDIRECTS):
            answer = self._send("POST", url, until, waiting_for, more, sql.encode(), login=login)
            place = answer.headers.get("location")
            if answer.status not in _KEEPING_THE_METHOD or not place:
                return answer
            before, url = url, urljoin(url, place)
            self._refuse_plain_text(url)
            login = login and split_url(before)[0] == split_url(url)[0]
        return answer

    def _pause(self, seconds: float, until: Deadline, page: _Page) -> None:
        if until.expired:
            raise page.given_up() or UnfinishedError(page.state)
        if seconds:
            time.sleep(min(seconds, until.remaining()))

    def _cancel(self, uri: str) -> None:
        """Within what is left of the probe's time; what nobody asks for, Trino ends itself minutes later."""
        until = Deadline(min(self._deadline.expires_at, Deadline.after(CANCEL_SECONDS).expires_at))
        with suppress(ComputeError, TrinoError, OSError):
            self._send("DELETE", uri, until, "the statement to end")

    def _refuse_plain_text(self, uri: str) -> None:
        origin, _ = split_url(uri)
        if self._encrypted and origin.scheme == "http":
            raise PlainTextError(str(origin))

    def _send(
        self,
        method: str,
        url: str,
        until: Deadline,
        waits_for: str,
        more: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        login: bool = True,
    ) -> HttpAnswer:
        self._client.waits_for = waits_for
        headers = {**self._headers, **(more or {})}
        if not login:
            headers.pop("Authorization", None)
        with translated():
            return self._client.request(
                method,
                url,
                headers,
                body,
                deadline=until,
                follow_redirects=method == "GET",
            )

    # ------------------------------------------------------------ between validations

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._client.endpoints

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether the coordinator still answers; who asks is proved anew by each statement."""
        self._client.renew(proving)
        self._deadline = proving
        self.ask_info()
        self._client.deadline = self._deadline = deadline
        return True

    def rest(self) -> bool:
        """Each request brings its whole session along: there is nothing to bring back."""
        return self.usable

    def close(self) -> None:
        self.usable = False
        self._client.close()


def _pauses() -> Iterator[float]:
    """Before each page: none for those of a statement that runs, then ever longer, should the coordinator
    not hold its answers back."""
    for _ in range(_QUICK_PAGES):
        yield 0.0
    seconds = 0.005
    while True:
        yield seconds
        seconds = min(0.1, seconds * 1.5)


def _page_in(answer: HttpAnswer) -> _Page:
    if answer.status != 200:
        raise HttpStatusError(answer)
    found = json_object(answer.body)
    stats = found.get("stats")
    if not isinstance(stats, dict):
        raise UnexpectedAnswerError("the answer to a statement is not in Trino's protocol")
    error = found.get("error")
    if isinstance(error, dict):
        raise QueryError(error)
    rows, next_uri = found.get("data") or [], found.get("nextUri")
    if not isinstance(rows, list) or not isinstance(next_uri, str | None):
        raise UnexpectedAnswerError("the answer to a statement is not in Trino's protocol")
    return _Page(
        rows,
        next_uri,
        str(stats.get("state"))[:100],
        _seconds(stats.get("elapsedTimeMillis")),
        _seconds(stats.get("queuedTimeMillis")),
        time.monotonic(),
    )


def _info_in(answer: HttpAnswer) -> Info:
    if answer.status != 200:
        return Info()
    found = json_object(answer.body)
    version = found.get("nodeVersion")
    return Info(
        found.get("starting") is True,
        found.get("coordinator") is not False,
        str(version.get("version", ""))[:100] if isinstance(version, dict) else "",
    )


def _seconds(milliseconds: object) -> float:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else 0.0
