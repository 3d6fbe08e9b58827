"""HTTP as Google's credentials and this plugin use it: one answer or one exception, never a retry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import google.auth.transport
import requests

from floe_monitor.compute import ComputeConfigurationError, ComputeConnectionError, ComputeTimeoutError
from floe_monitor_bigquery import wire
from floe_monitor_bigquery.errors import AnsweredError, UnusableAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 1 << 20
"""More than this is no answer to anything asked here."""
_MAX_TEXT = 500


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

    def __init__(self) -> None:
        self._session = wire.session()

    def close(self) -> None:
        self._session.close()

    def renew(self) -> None:
        """Let go of every connection; the next requests make their own."""
        self.close()
        self._session = wire.session()

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the moment set by `wire.running` counts
        **_: Any,
    ) -> Response:
        response = self.send(method, url, body, headers, follow=True)
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
        """The answer, whatever its status; that of a redirection's end with `follow`."""
        where = urlsplit(url).netloc
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=wire.left(),
                stream=True,
                allow_redirects=follow,
            ) as answer:
                return Response(answer.status_code, answer.headers, _read(answer, where))
        except requests.exceptions.RequestException as error:
            raise _named(error, where) from None


def answered(url: str, response: Response) -> AnsweredError:
    """In the API's form (`error.errors[0].reason`), the newer one (`error.status`) or OAuth's (`error`)."""
    where, status = urlsplit(url).netloc, response.status
    try:
        content = json.loads(response.data)
    except ValueError:
        content = None
    error = content.get("error") if isinstance(content, dict) else None
    if isinstance(error, dict):
        first = next(iter(error.get("errors") or []), None)
        reason = first.get("reason") if isinstance(first, dict) else None
        reason = reason or _reason_in_details(error) or error.get("status") or ""
        message = error.get("message") or ""
    else:
        reason = error or ""
        message = content.get("error_description") or "" if isinstance(content, dict) else ""
    return AnsweredError(where, status, str(reason)[:100], str(message)[:_MAX_TEXT])


def _reason_in_details(error: Mapping[str, Any]) -> Any:
    details = error.get("details")
    found = [item.get("reason") for item in details or [] if isinstance(item, dict)]
    return next((reason for reason in found if reason), None)


def content_of(url: str, response: Response) -> dict[str, Any]:
    try:
        content = json.loads(response.data)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UnusableAnswerError(f"{urlsplit(url).netloc} answered {response.status} with no JSON object")
    return content


def _read(answer: requests.Response, where: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in answer.iter_content(16384):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise UnusableAnswerError(f"{where} answered with more than {MAX_BYTES} bytes")
    return b"".join(chunks)


def _named(error: requests.exceptions.RequestException, where: str) -> Exception:
    kinds = requests.exceptions
    causes = list(_causes(error))
    if isinstance(error, kinds.Timeout) or any(isinstance(cause, TimeoutError) for cause in causes):
        return ComputeTimeoutError(f"no answer from {where} in time")
    if isinstance(
        error, kinds.InvalidURL | kinds.MissingSchema | kinds.InvalidSchema | kinds.InvalidProxyURL
    ):
        return ComputeConfigurationError(f"{where or 'the address'}: {type(error).__name__}")
    root = causes[-1]
    reason = getattr(root, "verify_message", "") or getattr(root, "strerror", None) or str(root)
    step = "TLS with" if isinstance(error, kinds.SSLError) else "connection to"
    step = "the proxy on the way to" if isinstance(error, kinds.ProxyError) else step
    return ComputeConnectionError(f"{step} {where} failed: {str(reason)[:_MAX_TEXT]}")


def _causes(error: BaseException) -> list[BaseException]:
    """From the outermost to the exception of the system; the libraries nest them in three ways."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        nested = [getattr(current, "reason", None), getattr(current, "original_error", None), *current.args]
        inner = next((item for item in nested if isinstance(item, BaseException)), None)
        current = inner or current.__cause__ or current.__context__
    return found
