"""HTTP as Google's credentials and this plugin use it: one answer or one exception, never a retry."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
import google.auth.transport

from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.netrc_file import authorization_for
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor_bigquery.errors import AnsweredError, UnusableAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls

MAX_BYTES = 1 << 20
"""More than this is no answer to anything asked here."""
_MAX_TEXT = 500
DRIVER_GIVES_UP = None
"""dbt's driver waits at a silent address as long as the system does: minutes.

The first connection of `dbt run` lists datasets. dbt-bigquery gives `Client.list_datasets`, `get_dataset` and
`get_table` no timeout; google-cloud-bigquery's DEFAULT_TIMEOUT is None, which `AuthorizedSession.request` and
requests passes on to urllib3, whose `create_connection` then connects without one, address by address. Only
`Client.query` has a limit (`job_creation_timeout_seconds`, or 60 s), and `dbt debug` makes no other call.
"""


def roots() -> str:
    """The file or directory that dbt's driver takes its TLS roots from."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()


def new_client(calls: BlockingCalls) -> HttpClient:
    """With the proxies of the environment, as in dbt's driver."""
    return HttpClient(
        partial(dial, calls=calls, driver_gives_up=DRIVER_GIVES_UP),
        context_for=lambda _: tls_context(roots()),
    )


class Response(google.auth.transport.Response):
    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._status, self._headers, self._data = status, headers, data

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def data(self) -> bytes:
        return self._data


class Transport(google.auth.transport.Request):
    """Raises for every answer that is no success: google-auth would retry some, and sleep in between."""

    def __init__(self, client: HttpClient, deadline: Deadline, warn: Callable[[str], None]) -> None:
        """`warn` is called with what failed before a connection was made."""
        self.client, self.deadline, self._warn = client, deadline, warn

    def until(self, deadline: Deadline) -> Transport:
        """The same connections, with an earlier deadline."""
        return Transport(self.client, deadline, self._warn)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline counts
        **_: Any,
    ) -> Response:
        data = body.encode() if isinstance(body, str) else body
        response = self.send(method, url, data, headers, follow=True)
        if not 200 <= response.status < 300:
            raise answered(url, response)
        return response

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        follow: bool = False,
    ) -> Response:
        """The answer, whatever its status; that of a redirection's end with `follow`, for a GET."""
        answer = self.client.request(
            method,
            url,
            _with_login(url, headers or {}),
            body,
            deadline=self.deadline,
            follow_redirects=follow,
            body_limit=MAX_BYTES,
            cut_body=True,
        )
        for warning in answer.warnings:
            self._warn(warning)
        if answer.cut:
            raise UnusableAnswerError(f"{_where(url)} answered with more than {MAX_BYTES} bytes")
        return Response(answer.status, answer.headers, answer.body)


def answered(url: str, response: Response) -> AnsweredError:
    """In the API's form (`error.errors[0].reason`), the newer one (`error.status`) or OAuth's (`error`)."""
    content = _parsed(response.data)
    error = content.get("error") if isinstance(content, dict) else None
    if isinstance(error, dict):
        first = next(iter(error.get("errors") or []), None)
        reason = first.get("reason") if isinstance(first, dict) else None
        reason = reason or _reason_in_details(error) or error.get("status") or ""
        message = error.get("message") or ""
    else:
        reason = error or ""
        message = content.get("error_description") or "" if isinstance(content, dict) else ""
    return AnsweredError(_where(url), response.status, str(reason)[:100], str(message)[:_MAX_TEXT])


def content_of(url: str, response: Response) -> dict[str, Any]:
    content = _parsed(response.data)
    if not isinstance(content, dict):
        raise UnusableAnswerError(f"{_where(url)} answered {response.status} with no JSON object")
    return content


def _where(url: str) -> str:
    return urlsplit(url).netloc


def _with_login(url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    login = authorization_for(urlsplit(url).hostname or "")
    if login is None:
        return headers
    kept = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    return {**kept, "authorization": login}


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _reason_in_details(error: Mapping[str, Any]) -> Any:
    details = error.get("details")
    found = [item.get("reason") for item in details or [] if isinstance(item, dict)]
    return next((reason for reason in found if reason), None)
