"""The faults of a network, tried on connections that a plugin keeps between probes (`connection_reuse`).

    class TestKept(KeptConnectionConformance):
        plugin_name = "acme"
        host_key, port_key = "host", "port"
        healthy = {"connection": {"host": "127.0.0.1", "port": 5432, …}}

For validations in threads: a worker process keeps no connection.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from floe_monitor.testing.kit import Given, build, fault, fields_of
from floe_monitor.testing.network_faults import NetworkConformance, healthy_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.testing.fault_proxy import FaultProxy
    from floe_monitor.testing.prober import Prober

_HOST = "localhost"
"""The name that moves: one that a server's certificate may be for."""
_ELSEWHERE = "127.0.0.2"
"""Where nobody listens."""
_SECONDS = 10.0
"""The deadline of each probe; the refusal elsewhere takes none of it."""
_SIDE_BY_SIDE, _IN_TURN = 4, 5
"""Probes of one target at a time, and how often."""
_UNTIL_CLOSED = 10.0
"""Seconds within which connections that are not kept have ended, on a machine that is busy."""


class KeptConnectionConformance(NetworkConformance):
    """The tests; no part of `ComputePluginConformance`: to keep connections is an offer of some plugins."""

    # It starts in a process of its own, where no connection has been kept.
    test_silent_name_service: ClassVar[None] = None  # type: ignore[assignment]

    @pytest.fixture
    def plugin(self) -> Iterator[ComputePlugin[Any]]:
        """A test's own: what it keeps ends with the test."""
        plugin = type(self.installed_plugin())()
        yield plugin
        plugin.shutdown()

    @pytest.fixture
    def config(self, plugin: ComputePlugin[Any], healthy_config: Given) -> ComputeConfig:
        return build(plugin, {**fields_of(build(plugin, healthy_config)), "connection_reuse": True})

    def test_connection_is_kept(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        """The tests of this class would prove nothing otherwise."""
        with self._behind_a_proxy(plugin, config) as (prober, keys, proxy, _):
            made = asyncio.run(_made_by_the_last(prober, keys, proxy))
        if made:
            fault(f"each further probe of a target with connection_reuse makes new connections: {made}")

    def kept(self, proxy: FaultProxy) -> int:
        """How many connections are kept now; override it where it is the server's sessions that count."""
        return proxy.open

    def test_parallel_probes_share_nothing(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        """Each has a connection to itself, and one of them is kept."""
        with self._behind_a_proxy(plugin, config) as (prober, keys, proxy, _):
            problem = asyncio.run(_side_by_side(prober, keys, lambda: self.kept(proxy)))
        if problem:
            fault(f"probes of one target at the same time: {problem}")

    @pytest.mark.parametrize("address", [_ELSEWHERE, None], ids=["moved", "unknown"])
    def test_name_of_a_kept_connection(
        self,
        plugin: ComputePlugin[Any],
        config: ComputeConfig,
        monkeypatch: pytest.MonkeyPatch,
        address: str | None,
    ) -> None:
        """dbt looks it up at each connection. Here `socket.getaddrinfo` answers for the name service."""
        names = _Names(_HOST, socket.getaddrinfo)
        monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
        with self._behind_a_proxy(plugin, config) as (prober, keys, proxy, _):
            problem = asyncio.run(_moving(prober, self.pointed_at(keys, _HOST, proxy.port), names, address))
        if problem:
            what = "is unknown" if address is None else "has moved"
            fault(f"the name of a kept connection {what}: {problem}")


class _Names:
    """The system's resolver, but for one name."""

    def __init__(self, name: str, system: Any) -> None:
        self._name, self._system = name, system
        self.address: str | None = "127.0.0.1"

    def getaddrinfo(self, host: Any, *rest: Any, **options: Any) -> Any:
        if host not in {self._name, self._name.encode()}:
            return self._system(host, *rest, **options)
        if self.address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._system(self.address, *rest, **options)


async def _made_by_the_last(prober: Prober, keys: Mapping[str, Any], proxy: FaultProxy) -> int:
    """A pool of HTTP connections may have to grow by one before there is always one that is free."""
    await healthy_probe(prober, keys)
    made = 1
    for _ in range(_IN_TURN):
        before = proxy.accepted
        await healthy_probe(prober, keys)
        if (made := proxy.accepted - before) == 0:
            break
    return made


async def _side_by_side(prober: Prober, keys: Mapping[str, Any], kept: Callable[[], int]) -> str | None:
    async def in_turn() -> None:
        for _ in range(_IN_TURN):
            await healthy_probe(prober, keys)

    await healthy_probe(prober, keys)
    by_one = kept()
    try:
        await asyncio.gather(*(in_turn() for _ in range(_SIDE_BY_SIDE)))
    except RuntimeError as error:
        return f"{error}: two of them may have used the same connection"
    until = time.monotonic() + _UNTIL_CLOSED
    while (now := kept()) > by_one:
        if time.monotonic() > until:
            return f"{now} connections stay open, where one probe leaves {by_one}: close those"
        await asyncio.sleep(0.02)
    return None


async def _moving(prober: Prober, keys: Mapping[str, Any], names: _Names, address: str | None) -> str | None:
    try:
        for _ in range(2):
            await healthy_probe(prober, keys, _SECONDS)
        before, names.address = names.address, address
        gone = (await prober.probe(keys, _SECONDS)).result
        names.address = before
        await healthy_probe(prober, keys, _SECONDS)
    except RuntimeError as error:
        return str(error)
    if gone.status.value == "unhealthy":
        return None
    return (
        f"the target is reported {gone.status.value.upper()}, and dbt does not reach it: look the name up at "
        "each probe (compute.toolkit.endpoints), and drop what it no longer leads to"
    )
