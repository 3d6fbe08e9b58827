"""The way into BigQuery that a target may keep between probes: connections, and the token used over them."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor_bigquery import login, wire
from floe_monitor_bigquery.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_bigquery.config import BigQueryConfig


class Session:
    def __init__(self) -> None:
        self.transport = Transport()
        self.credentials: Any = None
        """With a token; None before the login."""

    @property
    def usable(self) -> bool:
        """A token shortly before its end is not used again: the next probe logs in anew."""
        return self.credentials is not None and login.is_fresh(self.credentials)

    def close(self) -> None:
        self.transport.close()


def key(config: BigQueryConfig, content: Mapping[str, Any] | None) -> bytes:
    """Differs wherever anything differs that a login proves: secrets, a file's `content`, the TLS roots.

    The rest of the environment cannot change while the process runs.
    """
    parts: list[Any] = [
        config.model_dump(exclude={"credentials"}),
        {name: secret.get_secret_value() for name, secret in config.credentials.items()},
        content,
    ]
    with contextlib.suppress(ComputeConfigurationError):  # without roots no TLS; the connection will say so
        parts.append(wire.roots())
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).digest()
