"""The files of TLS, read for a validation within its deadline.

    files = TlsFiles(calls, ("certificates", roots), lambda: LoadedTls(version, context))
    files.read(deadline)
    connection.encrypt(files.context(), name)

They may lie on a network's file system, which may never answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.errors import ComputeTimeoutError
from floe_monitor.compute.evidence import note_expiry
from floe_monitor.compute.models import ExpiryKind
from floe_monitor.compute.toolkit.tls import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Hashable

    from floe_monitor.compute.deadline import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls


@dataclass(frozen=True, slots=True)
class LoadedTls:
    """What the files of one target come to."""

    version: str
    """Differs wherever a file does for which a kept connection is to be given up."""
    context: ssl.SSLContext
    """Shared: not to be changed."""
    client_ends: float | None = None
    """When the client's certificate ends, in Unix seconds; None where there is none, or it does not say."""


class TlsFiles:
    """Of one target, as they are at one validation."""

    def __init__(
        self,
        calls: BlockingCalls,
        key: Hashable,
        load: Callable[[], LoadedTls],
        otherwise: Callable[[], ssl.SSLContext] = tls_context,
    ) -> None:
        """`key` is for `BlockingCalls`, and names all that `load` goes by: a call of one key is shared.

        `otherwise` makes the context where nothing was read.
        """
        self._calls, self._key, self._load, self._otherwise = calls, key, load, otherwise
        self._loaded: LoadedTls | None = None

    def read(self, deadline: Deadline) -> None:
        """And note for the validation under way when the client's certificate ends.

        Raises what `load` raises, `ComputeTimeoutError` where that has not returned by `deadline`, and
        `MonitorResourceError` where no thread can be started for it.
        """
        try:
            self._loaded = self._calls.run(deadline.remaining(), self._key, self._load)
        except ComputeTimeoutError as error:
            raise ComputeTimeoutError(f"{error} while reading the files of TLS") from None
        # Not in `load`: what its thread notes belongs to no validation.
        note_expiry(ExpiryKind.KEY, self._loaded.client_ends, "the client's certificate")

    @property
    def version(self) -> str:
        """For the key of a kept connection; empty where nothing was read."""
        return "" if self._loaded is None else self._loaded.version

    def context(self) -> ssl.SSLContext:
        """Where nothing was read, `otherwise`'s: a proxy may be spoken to in TLS where the server is not."""
        return self._otherwise() if self._loaded is None else self._loaded.context
