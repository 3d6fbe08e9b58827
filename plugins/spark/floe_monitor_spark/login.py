"""The login to a Thrift server: SASL, as PyHive does it, or none."""

from __future__ import annotations

import re
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import thrift_sasl
from pyhive.sasl_compat import PureSASLClient
from thrift.transport.TTransport import TBufferedTransport, TTransportException

from floe_monitor.compute import ComputeConfigurationError, ComputeError
from floe_monitor_spark.errors import LoginRefusedError, SparkError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_spark.transport import SocketTransport


class _KerberosClient(PureSASLClient):  # type: ignore[misc]  # no types
    """Calls the Kerberos library in a thread of its own, which is abandoned at the deadline."""

    def __init__(self, calls: BlockingCalls, base: SocketTransport, **keys: Any) -> None:
        super().__init__(**keys)
        self._calls, self._base = calls, base

    def process(self, challenge: bytes | None = None) -> Any:
        step = partial(super().process, challenge)
        return self._calls.run(self._base.deadline.remaining(), ("kerberos", id(self)), step)


def plain_login(base: SocketTransport, **keys: Any) -> Any:
    """A transport past SASL PLAIN. Raises `LoginRefusedError` where the server says no."""
    return _logged_in(base, partial(PureSASLClient, **keys), "PLAIN")


def kerberos_login(base: SocketTransport, calls: BlockingCalls, **keys: Any) -> Any:
    """As `plain_login`, with the ticket of this process' user."""
    if find_spec("kerberos") is None:
        raise ComputeConfigurationError("auth: KERBEROS needs floe-monitor-spark[kerberos] installed here")
    try:
        return _logged_in(base, partial(_KerberosClient, calls, base, **keys), "GSSAPI")
    except (SparkError, ComputeError):
        raise
    except Exception as error:
        raise LoginRefusedError(f"Kerberos: {one_line(error)}") from error


def no_login(base: SocketTransport) -> Any:
    return TBufferedTransport(base)


def _logged_in(base: SocketTransport, client: Callable[[], PureSASLClient], mechanism: str) -> Any:
    transport = thrift_sasl.TSaslClientTransport(client, mechanism, base)
    try:
        transport.open()
    except TTransportException as error:
        # thrift_sasl puts the server's bytes into its own words.
        said = re.sub(r"^Bad status: \d+ \(b(['\"])(.*)\1\)$", r"\2", one_line(error))
        raise LoginRefusedError(f"the server refused the login: {said or 'without a reason'}") from error
    return transport
