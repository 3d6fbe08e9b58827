"""A signed POST of JSON, as Standard Webhooks have it: any library for them verifies it.

`webhook-id` is the message's key, the same at each attempt; `webhook-timestamp` the moment of the attempt;
`webhook-signature` has, for each key, `v1,` and the HMAC-SHA256 of `id.timestamp.body` in Base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute.deadline import Deadline
from floe_monitor.compute.errors import ComputeError
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.env_references import UnresolvedError
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.credentials.references import Reference
from floe_monitor.notifications.transports import SendError
from floe_monitor.settings.notification_models import check_webhook_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.notifications.notice import Message
    from floe_monitor.settings.notification_models import WebhookSettings

LEAST_SECRET = 24
"""Characters of a secret without the prefix; bytes of one with it."""
PREFIX = "whsec_"
LONGEST_ANSWER = 4096
LONGEST_RETRY_AFTER = 3600.0
_OF_THE_MESSAGE = frozenset({400, 413, 415, 422})
"""Statuses that say that the message itself is not wanted."""


def signing_key(secret: str) -> bytes:
    """`ValueError` without the secret in it."""
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"what follows {PREFIX} is not Base64") from None
    else:
        key = secret.encode()
    if len(key) < LEAST_SECRET:
        raise ValueError(f"is shorter than {LEAST_SECRET} bytes: make one with `openssl rand -base64 32`")
    return key


def signed(identity: str, timestamp: int, body: bytes, key: bytes) -> str:
    """One value of `webhook-signature`."""
    text = f"{identity}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()}"


class Webhook:
    """A `Transport`. Address and secrets are read at each attempt, so that new ones are taken."""

    def __init__(
        self,
        settings: WebhookSettings,
        timeout: float,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._timeout, self._environ, self._clock = settings, timeout, environ, clock
        self._calls = BlockingCalls(limit=2)

    def send(self, message: Message) -> None:
        deadline = Deadline.after(self._timeout)
        url = self._url()
        keys = [self._key("secret"), *([self._key("former_secret")] if self._settings.former_secret else [])]
        body = json.dumps(message.document, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "replace"
        )
        timestamp = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signed(message.key, timestamp, body, key) for key in keys),
        }
        client = HttpClient(partial(dial, calls=self._calls), deadline=deadline)
        client.waits_for = "the receiver's answer"
        try:
            answer = client.request("POST", url, headers, body, body_limit=LONGEST_ANSWER, cut_body=True)
        except ComputeError as error:
            raise SendError(Redactor(_secrets_of(url))(str(error))) from None
        finally:
            client.close()
        status = answer.status
        if 200 <= status < 300:
            return
        moved = f" (redirects are not followed; it leads to {answer.moved_to})" if answer.moved_to else ""
        raise SendError(
            f"the receiver answers {status}{moved}",
            refused=status in _OF_THE_MESSAGE,
            retry_after=_seconds(answer.headers.get("retry-after")),
        )

    def _url(self) -> str:
        given = self._settings.url
        if given.plain is not None:
            return given.plain
        try:
            url = Reference(given.env, given.file).read(self._environ)
            check_webhook_url(url)
        except UnresolvedError as error:
            raise SendError(f"its address: {error}") from None
        except ValueError as error:
            raise SendError(f"its address {error}") from None
        return url

    def _key(self, name: str) -> bytes:
        reference = self._settings.secret if name == "secret" else self._settings.former_secret
        assert reference is not None  # noqa: S101 - the caller has looked
        try:
            return signing_key(reference.reference.read(self._environ))
        except UnresolvedError as error:
            raise SendError(f"its {name}: {error}") from None
        except ValueError as error:
            raise SendError(f"its {name} {error}") from None


def _secrets_of(url: str) -> list[str]:
    """An address may be a secret itself: all but scheme, host and port stays out of texts."""
    rest = url.partition("://")[2].partition("/")[2]
    return [part for part in (url, rest) if part]


def _seconds(value: str | None) -> float | None:
    """Of Retry-After, as a number alone; a date is passed over."""
    if value is None or not value.strip().isascii() or not value.strip().isdecimal():
        return None
    return min(float(value.strip()[:9]), LONGEST_RETRY_AFTER)
