"""Every fault of the network, tried on a plugin by the daemon's own runner.

    class TestFaults(NetworkConformance):
        plugin_name = "acme"
        host_key, port_key = "host", "port"          # of `connection`
        healthy = {"connection": {"host": "127.0.0.1", "port": 5432, …}}

Each probe must be UNHEALTHY within its deadline and 100 ms, and its worker must have ended: by itself in a
thread, or by the end of its process. Lateness of the machine itself is allowed for.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from floe_monitor.compute.models import ErrorType
from floe_monitor.testing import silent_names
from floe_monitor.testing.fault_proxy import LOOPBACK, Fault, FaultProxy
from floe_monitor.testing.kit import Given, Kit, fault, fields_of
from floe_monitor.testing.prober import GRACE, Prober

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.testing.prober import Probe

WARM_SECONDS = 60.0
"""For the healthy probes before a fault, which may import a driver."""
SILENT_HOST = "db.floe-monitor.example"
_SILENT_SECONDS = 30
"""Until the system's resolver gives up (its greatest): on no machine a probe's deadline and its margin."""
_REPORTED_SECONDS = 10.0
"""The deadline, at least, at which a fault that the plugin is told of must not be called a timeout: it is
told at once, but a busy machine may take longer than the deadline of a silent fault."""
_HEALTHY_PROBES_IN_A_DEADLINE = 6
_LATE_SECONDS = 30.0
"""After the deadline, where a server accepts late: no machine is so slow that it would come in time."""
_SLOWER_THAN_THE_DEADLINE = 5
"""A drip is so slow that the healthy answers would take this many deadlines."""
_FASTEST_DRIP = 40.0
"""Bytes a second: slow for any driver, and more often than one's timeout of each single read."""


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """One way a network or server fails. `share` is of the bytes with which a healthy probe is answered."""

    name: str
    kind: Fault
    share: float | None = None

    @property
    def silent(self) -> bool:
        """Whether the plugin learns of it by the passing of time alone."""
        return self.kind not in _REPORTED

    def __str__(self) -> str:
        return self.name


_REPORTED = frozenset({Fault.REFUSE, Fault.RESET, Fault.HALF_CLOSE})
_SHARES = {
    "the first byte": 0.0,
    "a quarter of its answers": 0.25,
    "half of its answers": 0.5,
    "three quarters of its answers": 0.75,
    "nearly all of its answers": 0.85,
}
FAULTS = (
    NetworkFault("refuses connections", Fault.REFUSE),
    NetworkFault("resets connections", Fault.RESET),
    NetworkFault("drops packets", Fault.BLACKHOLE),
    NetworkFault("accepts late", Fault.SLOW_ACCEPT),
    NetworkFault("accepts, never answers", Fault.HANG),
    NetworkFault("ends its side at once", Fault.HALF_CLOSE),
    NetworkFault("answers in drips", Fault.DRIP),
    *(NetworkFault(f"freezes after {words}", Fault.FREEZE_AFTER, share) for words, share in _SHARES.items()),
    *(
        NetworkFault(f"hangs each connection after {words}", Fault.HANG_AFTER, share)
        for words, share in _SHARES.items()
    ),
)
NAMELESS = "name service silent"
_OF_NEW_CONNECTIONS = frozenset(
    {Fault.REFUSE, Fault.BLACKHOLE, Fault.HANG, Fault.HALF_CLOSE, Fault.SLOW_ACCEPT}
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """How many bytes a server sends in a healthy probe, in all and on its longest connection, and how long
    such a probe takes."""

    total: int
    longest: int
    seconds: float


async def healthy_conversation(prober: Prober, keys: Mapping[str, Any], proxy: FaultProxy) -> Conversation:
    """Measured on the second of two probes: a server's first answers may be longer.

    Raises `RuntimeError` where the target is not well to begin with, or its server is not behind the proxy.
    """
    before, began = 0, 0.0
    for _ in range(2):
        before, proxy.longest, began = proxy.answered, 0, time.monotonic()
        await healthy_probe(prober, keys)
    seconds = time.monotonic() - began
    if proxy.answered == before:
        raise RuntimeError("the healthy target does not connect to where the configuration was pointed")
    return Conversation(proxy.answered - before, max(1, proxy.longest), seconds)


async def healthy_probe(
    prober: Prober, keys: Mapping[str, Any], deadline_seconds: float = WARM_SECONDS
) -> None:
    """One within that time, on a busy machine after some that took longer.

    Raises `RuntimeError` where the target is not well.
    """
    give_up = time.monotonic() + WARM_SECONDS
    while True:
        well = (await prober.probe(keys, deadline_seconds)).result
        if well.status.value != "unhealthy":
            return
        if well.error_type != ErrorType.TIMEOUT or time.monotonic() > give_up:
            raise RuntimeError(f"the target is not well to begin with: {well.message} ({well.error_type})")


def impose(proxy: FaultProxy, wanted: NetworkFault, conversation: Conversation, timeout: float) -> None:
    """From now on the network fails in that way."""
    share = wanted.share or 0.0
    if wanted.kind is Fault.FREEZE_AFTER:
        proxy.set(wanted.kind, after=proxy.answered + max(1, int(conversation.total * share)))
    elif wanted.kind is Fault.HANG_AFTER:
        proxy.set(wanted.kind, after=max(1, int(conversation.longest * share)))
    elif wanted.kind is Fault.DRIP:
        slow = conversation.total / (timeout * _SLOWER_THAN_THE_DEADLINE)
        proxy.set(wanted.kind, rate=min(_FASTEST_DRIP, slow))
    else:
        proxy.set(wanted.kind, delay=timeout + _LATE_SECONDS)


async def probe_under(
    prober: Prober, keys: Mapping[str, Any], proxy: FaultProxy, wanted: NetworkFault, timeout: float
) -> tuple[Probe, bool]:
    """A probe while the network fails, and whether the failure reached it.

    It does not where a conversation ends before it, where a kept connection goes on, or where a new one
    takes the place of a kept one that hangs.
    """
    held, answered = proxy.held, proxy.answered
    probe = await prober.probe(keys, timeout)
    if wanted.kind in _OF_NEW_CONNECTIONS:
        return probe, proxy.answered == answered
    if wanted.kind is Fault.HANG_AFTER:
        return probe, proxy.newest_held
    return probe, wanted.kind is Fault.RESET or proxy.held > held


def problem_of(
    probe: Probe, timeout: float, *, silent: bool | None = True, reached: bool = True
) -> str | None:
    """What violates the guarantee; None where it holds. A fault that was not `reached` allows any verdict.

    A `silent` fault is reported as a timeout, and one that the plugin is informed of as anything else;
    None allows both.
    """
    result = probe.result
    if probe.is_late(timeout):
        return (
            f"the result came after {result.duration:.2f} s, with a deadline of {timeout:g} s: pass "
            "deadline.remaining() on to every wait, name look-ups and each single read among them"
        )
    if not probe.worker_ended:
        running = result.checks[-1].name if result.checks else "the first check"
        return (
            f"the worker is stuck in {running} {GRACE * 1000:.0f} ms after its deadline: bound the wait from "
            'outside of the driver (compute.toolkit), or ask for `default_isolation = "process"`'
        )
    if result.error_type == ErrorType.PLUGIN:
        return f"the plugin fails, not its target: {result.message}"
    if reached and result.status.value != "unhealthy":
        return f"the target is reported {result.status.value.upper()}: {result.message}"
    if reached and silent is not None and silent != (result.error_type == ErrorType.TIMEOUT):
        return f"error_type is {result.error_type}: {'silence is a' if silent else 'this is no'} timeout"
    return None


class _Setting(NamedTuple):
    prober: Prober
    keys: dict[str, Any]
    proxy: FaultProxy
    anywhere: str
    """The same for two targets that differ in where their server listens alone."""


class NetworkConformance(Kit):
    """The tests; a part of the conformance kit."""

    host_key: ClassVar[str | None]
    """The key of `connection` that names the server; None for an engine that no network leads to."""
    port_key: ClassVar[str] = "port"
    fault_deadline_seconds: ClassVar[float] = 1.0
    """Of each probe under a fault; more where a healthy one takes over a sixth of it (a busy machine)."""
    _conversations: ClassVar[dict[str, Conversation]]
    """By configuration: one is measured for all faults."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._conversations = {}

    def server_of(self, keys: Mapping[str, Any]) -> tuple[str, int]:
        """Host and port of the healthy target's server. Override it together with `pointed_at`."""
        connection = keys["connection"]
        return str(connection[self._host_key]), int(connection[self.port_key])

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        """The same target with its server there. Override it where that is no matter of two keys."""
        return {**keys, "connection": {**keys["connection"], self._host_key: host, self.port_key: port}}

    @pytest.fixture
    def hanging_config(self, config: ComputeConfig) -> Iterator[Given | None]:
        """The healthy target, its server replaced by one that accepts and never answers."""
        if not self._is_located or self._has_no_network:
            yield None
            return
        with FaultProxy(fault=Fault.HANG) as proxy:
            yield self.pointed_at(fields_of(config), LOOPBACK, proxy.port)

    @pytest.mark.parametrize("wanted", FAULTS, ids=str)
    def test_fault_of_the_network(
        self, plugin: ComputePlugin[Any], config: ComputeConfig, wanted: NetworkFault
    ) -> None:
        if self._has_no_network:
            return
        with self._behind_a_proxy(plugin, config) as setting:
            problem = asyncio.run(self._under(setting, wanted))
        if problem:
            fault(f"the network {wanted}: {problem}")

    def test_silent_name_service(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        """A look-up takes no timeout; the system's resolver gives up after ten seconds or more, here 30."""
        if self._has_no_network:
            return
        if not silent_names.available():
            pytest.skip("this system does not let a network namespace be made (unshare)")
        keys, environ = _keys_of(config)
        _, port = self.server_of(keys)
        try:
            with self._behind_a_proxy(plugin, config) as setting:
                conversation = asyncio.run(self._conversation(setting))
        except RuntimeError as error:
            fault(f"{NAMELESS}: {error}")
        given = {
            "keys": {**self.pointed_at(keys, SILENT_HOST, port), "distribution": self.distribution},
            "environ": environ,
            "timeout": self._deadline(conversation),
        }
        done = silent_names.run(
            _NAMELESS.replace("GIVEN", repr(json.dumps(given))), timeout=55, resolver_seconds=_SILENT_SECONDS
        )
        if done.returncode:
            fault(f"the probe without a name service failed:\n{done.stderr[-2000:]}")
        problem: str | None = json.loads(done.stdout.splitlines()[-1])
        if problem:
            fault(f"{NAMELESS}: {problem}; compute.toolkit.blocking_calls looks names up within the deadline")

    @property
    def _host_key(self) -> str:
        return self.host_key or ""  # `_has_no_network` comes first

    @property
    def _is_located(self) -> bool:
        """Whether the author has said how to find the server, or that there is none."""
        return hasattr(self, "host_key") or type(self).pointed_at is not NetworkConformance.pointed_at

    @property
    def _has_no_network(self) -> bool:
        if not self._is_located:
            fault("give `host_key`, the connection key that names the server; None where there is none")
        return getattr(self, "host_key", "") is None

    @contextmanager
    def _behind_a_proxy(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> Iterator[_Setting]:
        keys, environ = _keys_of(config)
        _, port = self.server_of(keys)
        anywhere = repr(self.pointed_at(keys, LOOPBACK, 1))
        with FaultProxy(port) as proxy, Prober(environ, plugin) as prober:
            yield _Setting(prober, self.pointed_at(keys, LOOPBACK, proxy.port), proxy, anywhere)

    async def _conversation(self, setting: _Setting) -> Conversation:
        prober, keys, proxy, anywhere = setting
        if anywhere not in self._conversations:
            self._conversations[anywhere] = await healthy_conversation(prober, keys, proxy)
        return self._conversations[anywhere]

    def _deadline(self, conversation: Conversation) -> float:
        return max(self.fault_deadline_seconds, _HEALTHY_PROBES_IN_A_DEADLINE * conversation.seconds)

    async def _under(self, setting: _Setting, wanted: NetworkFault) -> str | None:
        prober, keys, proxy, _ = setting
        try:
            conversation = await self._conversation(setting)
            deadline_seconds = self._deadline(conversation)
            timeout = deadline_seconds if wanted.silent else max(deadline_seconds, _REPORTED_SECONDS)
            if keys.get("connection_reuse"):
                # The deadline may be a part of what a kept connection was made with.
                await healthy_probe(prober, keys, timeout)
        except RuntimeError as error:
            return str(error)
        impose(proxy, wanted, conversation, timeout)
        probe, reached = await probe_under(prober, keys, proxy, wanted, timeout)
        problem = problem_of(probe, timeout, silent=wanted.silent, reached=reached)
        if problem or wanted.silent:
            return problem
        # One that tries again and again keeps to the author's deadline too, whatever it calls it then.
        probe, reached = await probe_under(prober, keys, proxy, wanted, deadline_seconds)
        return problem_of(probe, deadline_seconds, silent=None, reached=reached)


def _keys_of(config: ComputeConfig) -> tuple[dict[str, Any], dict[str, str]]:
    """A target's keys as a configuration has them, and the environment that its credentials are in."""
    fields = fields_of(config)
    names = {key: f"CONFORMANCE_CREDENTIAL_{number}" for number, key in enumerate(fields["credentials"])}
    environ = {names[key]: value for key, value in fields["credentials"].items()}
    keys = {key: value for key, value in fields.items() if key != "credentials"}
    return {**keys, "credentials": {key: {"env": name} for key, name in names.items()}}, environ


async def probe_without_names(given: Mapping[str, Any]) -> str | None:
    """For the process in which every name service is silent: what violates the guarantee there."""
    with Prober(given["environ"]) as prober:
        return problem_of(await prober.probe(given["keys"], given["timeout"]), given["timeout"])


_NAMELESS = """
import asyncio, json
from floe_monitor.testing.network_faults import probe_without_names
print(json.dumps(asyncio.run(probe_without_names(json.loads(GIVEN)))))
"""
