"""What TLS trusts and what it shows of the client, as dbt's two drivers take both."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeTimeoutError,
    ExpiryKind,
    note_expiry,
)
from floe_monitor.compute.toolkit.tls import (
    end_of_certificate,
    load_client_certificate,
    roots_version,
    system_roots,
    tls_context,
)

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.tls import Version
    from floe_monitor_clickhouse.config import ClickHouseConfig


class Certificates:
    """Of one target, by the files as they are at one validation."""

    def __init__(self, config: ClickHouseConfig, calls: BlockingCalls) -> None:
        self._encrypted, self._calls = bool(config.secure), calls
        self._verified = config.verify is not False
        self._roots = certifi.where() if config.is_native else None
        """None: the system's, of which SSL_CERT_FILE and SSL_CERT_DIR are a part."""
        self._client = (config.client_cert, config.client_cert_key)
        self._versions: tuple[Version, ...] = ()
        self._context: ssl.SSLContext | None = None

    @property
    def warnings(self) -> list[str]:
        if self._encrypted and not self._verified:
            return [
                "neither dbt nor a probe verifies the server's certificate: the login goes to whoever answers"
            ]
        return []

    @property
    def version(self) -> str:
        """Differs wherever the client's files do."""
        return str(self._versions)

    def read(self, deadline: Deadline) -> None:
        """Raises `ComputeConfigurationError` where a file is not what it should be.

        And `ComputeTimeoutError`: a network's file system may never answer.
        """
        if not self._encrypted:
            return
        try:
            self._versions, self._context, client_ends = self._calls.run(
                deadline.remaining(),
                ("certificates", self._roots, self._verified, self._client),
                self._loaded,
            )
        except ComputeTimeoutError as error:
            raise ComputeTimeoutError(f"{error} while reading the files of TLS") from None
        note_expiry(ExpiryKind.KEY, client_ends, "the client's certificate")

    def context(self) -> ssl.SSLContext:
        """After `read`; of a proxy that is spoken to in TLS, where the server is not, the usual one."""
        return self._context or tls_context()

    def _loaded(self) -> tuple[tuple[Version, ...], ssl.SSLContext, float | None]:
        """Versions and context, and when the client's certificate ends."""
        certificate, key = self._client
        usual = tls_context(self._roots, verify=self._verified)
        if certificate is None:
            return (), usual, None
        versions = tuple(roots_version(path) for path in (certificate, key) if path is not None)
        trusted = None if self._roots is None else roots_version(self._roots)
        context = _with_client(trusted, self._verified, system_roots(), *versions)
        return versions, context, end_of_certificate(versions[0])


def load_roots(config: ClickHouseConfig) -> None:
    """Once for a process: it takes some 20 ms. What cannot be read, the validation reports."""
    if config.secure and config.verify is not False:
        with suppress(ComputeConfigurationError):
            tls_context(certifi.where() if config.is_native else None)


@lru_cache(maxsize=16)
def _with_client(
    trusted: Version | None,
    verified: bool,
    _: tuple[Version, ...],
    certificate: Version,
    key: Version | None = None,
) -> ssl.SSLContext:
    """One of its own: those of the toolkit are shared, and not to be changed."""
    context = ssl.create_default_context(cafile=None if trusted is None else trusted[0])
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    key_file = certificate[0] if key is None else key[0]
    load_client_certificate(context, certificate[0], key_file)
    return context
