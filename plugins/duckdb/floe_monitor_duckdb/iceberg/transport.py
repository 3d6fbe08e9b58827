"""HTTP to catalogs as the toolkit bounds it, on the way that DuckDB's own requests take.

Each request has a connection of its own and uses no proxy, and goes to the address that DuckDB would reach.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeTimeoutError
from floe_monitor.compute.toolkit.dialling import dial_hosts, open_socket
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.dialling import Dialled
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer
    from floe_monitor_duckdb.iceberg.catalog import HttpOptions

NEXT_ADDRESS_SECONDS = 0.2
"""After which curl, with which DuckDB 1.5.5 speaks HTTP, tries a name's next address beside a silent one.

Measured: ATTACH over a name whose first address drops every packet takes 0.2 s longer, whatever
`http_timeout` is. With `httpfs_client_implementation: httplib` it fails, for that never gets to the second.
"""


class Transport:
    """The requests of one validation to one catalog; each ends by the deadline."""

    def __init__(self, options: HttpOptions, calls: BlockingCalls, deadline: Deadline) -> None:
        self._options, self._calls = options, calls
        self.deadline = deadline
        self.warnings: list[str] = []
        """Of the connections made: addresses that do not answer."""
        self._client = HttpClient(
            self._dial,
            context_for=lambda _: tls_context(options.ca_file, verify=options.verify),
            proxy_for=lambda *_: None,
            deadline=deadline,
        )

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpAnswer:
        """The answer, whatever its status, its body cut where it is long. A GET follows redirects."""
        answer = self._client.request(
            method, url, {"Connection": "close", **headers}, body, follow_redirects=True, cut_body=True
        )
        self.warnings += [warning for warning in answer.warnings if warning not in self.warnings]
        return answer

    def _dial(self, host: str, port: int, *, deadline: Deadline) -> Dialled[BoundedSocket]:
        """The first address that answers; where DuckDB uses curl, a silent one does not keep it from that."""
        hosts = [(address, port) for address in self._calls.resolve(host, deadline.remaining())]
        dial = partial(dial_hosts, hosts, self._calls, deadline, open_socket)
        if len(hosts) == 1 or not self._options.tries_next_address:
            return dial()
        try:
            return dial(driver_gives_up=NEXT_ADDRESS_SECONDS)
        except ComputeTimeoutError:
            if deadline.expired:
                raise
        # None answers so fast. curl goes on waiting for those it has tried.
        dialled = dial(driver_gives_up=deadline.remaining())
        warnings = [f"{host} has an address that does not answer: dbt tries the next one beside it"]
        return dataclasses.replace(dialled, warnings=tuple(warnings if dialled.warnings else ()))
