"""The way into BigQuery that a target may keep between probes: connections, and the token used over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor_bigquery.credentials import is_fresh

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.http_client import HttpClient


class Session:
    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.credentials: Any = None
        """With a token; None before the login."""

    @property
    def usable(self) -> bool:
        """A token shortly before its end is not used again: the next probe logs in anew."""
        return self.credentials is not None and is_fresh(self.credentials)

    def forget(self) -> None:
        """Become as before the login: what was proved says nothing of where the names lead now."""
        self.close()
        self.credentials = None

    def close(self) -> None:
        self.client.close()
