"""Where a connection leads, and whether the name that led there still does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.errors import ComputeConnectionError, ComputeTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.compute.deadline import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of `host`; of a Unix socket both are its path."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def still_lead_there(endpoints: Iterable[Endpoint], calls: BlockingCalls, deadline: Deadline) -> bool:
    """Whether every host still has the address that it had when the connection was made.

    dbt looks the name up at each connection. One that has moved, is unknown by now, or is not looked up by
    `deadline` leads dbt elsewhere or nowhere, whatever a connection from before still answers.
    """
    for endpoint in endpoints:
        if endpoint.host == endpoint.address:
            continue
        try:
            addresses = calls.resolve(endpoint.host, deadline.remaining())
        except (ComputeConnectionError, ComputeTimeoutError):
            return False
        if endpoint.address not in addresses:
            return False
    return True
