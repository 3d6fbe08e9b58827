"""Requests to one workspace's REST API, with what proves who asks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_databricks.errors import ApiError, UnexpectedAnswerError, translated
from floe_monitor_databricks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor.compute.toolkit.http_client import HttpClient
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

USER_AGENT = f"floe-monitor-databricks/{__version__}"
ME = "/api/2.0/preview/scim/v2/Me"
_LEAST_SECONDS = 300.0
"""What a kept token must still be good for: a workspace refuses one that ends within a request."""


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    more: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers that go with it."""
    expires_at: float = float("inf")
    """On `time.monotonic`'s clock."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as Unity Catalog names principals: users by address, service principals by application id."""

    name: str
    groups: frozenset[str]


class Session:
    """Not for two threads at once."""

    def __init__(
        self, client: HttpClient, site: str, workspace_id: str | None, deadline: Deadline, token: Token | None
    ) -> None:
        self.client, self.site, self.deadline = client, site, deadline
        self.token = token
        """None until one is had, where the login has to ask for it."""
        self._usual = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if workspace_id is not None:
            self._usual["X-Databricks-Org-Id"] = workspace_id
        self._identity: Identity | None = None
        self.usable = True

    # ------------------------------------------------------------ requests

    def get(self, path: str, waits_for: str = "the workspace's answer") -> dict[str, Any]:
        """Raises `ApiError` for any status but 200."""
        return content_of(self.send("GET", f"{self.site}{path}", waits_for, self._own()), self.site)

    def post(self, path: str, body: bytes, waits_for: str) -> dict[str, Any]:
        headers = {**self._own(), "Content-Type": "application/json"}
        return content_of(self.send("POST", f"{self.site}{path}", waits_for, headers, body), self.site)

    def send(
        self,
        method: str,
        url: str,
        waits_for: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """The answer, whatever its status; nothing proves who asks unless `headers` do."""
        self.client.waits_for = waits_for
        with translated():
            return self.client.request(
                method, url, {**self._usual, **(headers or {})}, body, deadline=self.deadline
            )

    def who_asks(self) -> Identity:
        """Asked once in a validation."""
        if self._identity is None:
            self._identity = _identity_in(self.get(ME, "the login to be accepted"))
        return self._identity

    def _own(self) -> dict[str, str]:
        return (
            {} if self.token is None else {"Authorization": f"Bearer {self.token.value}", **self.token.more}
        )

    # ------------------------------------------------------------ between validations

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.client.endpoints

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether the workspace still takes the token; a new session says why it does not."""
        if self.token is None or self.token.expires_at - time.monotonic() < _LEAST_SECONDS:
            return False
        self.client.renew(proving)
        self.deadline = proving
        self.who_asks()
        self.client.deadline = self.deadline = deadline
        return True

    def rest(self) -> bool:
        """Each request brings all along; who asks is asked anew by the next validation."""
        self._identity = None
        return self.usable and self.token is not None

    def close(self) -> None:
        self.usable = False
        self.client.close()


def content_of(answer: HttpAnswer, place: str) -> dict[str, Any]:
    """The JSON object of a success. Raises `ApiError` for any other status."""
    if answer.status != 200:
        raise ApiError(answer, place)
    if not answer.body.lstrip().startswith(b"{"):
        kind = answer.headers.get("content-type", "").partition(";")[0] or "of no type"
        raise UnexpectedAnswerError(f"{place} answers with {kind[:50]} where an API's JSON was expected")
    return json_object(answer.body)


def segment(name: str) -> str:
    """One part of a path, whatever is in the name."""
    return quote(name, safe="")


def _identity_in(found: Mapping[str, Any]) -> Identity:
    groups = found.get("groups")
    names = (
        [each.get("display") for each in groups if isinstance(each, dict)] if isinstance(groups, list) else []
    )
    return Identity(str(found.get("userName") or ""), frozenset(str(name) for name in names if name))
