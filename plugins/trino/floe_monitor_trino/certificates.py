"""What TLS trusts and what it shows of the client, as the library below dbt's driver takes both."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute import (
    ComputeTimeoutError,
    ExpiryKind,
    note_expiry,
)
from floe_monitor.compute.toolkit.tls import (
    end_of_certificate,
    load_client_certificate,
    roots_version,
    tls_context,
)

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.tls import Version
    from floe_monitor_trino.config import TrinoConfig


class Certificates:
    """Of one target, by the files as they are at one validation."""

    def __init__(self, config: TrinoConfig, calls: BlockingCalls) -> None:
        self._encrypted, self._calls = config.scheme == "https", calls
        self._cert, self._roots = config.cert, roots(config.cert)
        self._client = (config.client_certificate, config.client_private_key)
        self._versions: tuple[Version | None, ...] = ()
        self._context: ssl.SSLContext | None = None

    @property
    def warnings(self) -> list[str]:
        if self._roots is None:
            return [
                "neither dbt nor a probe verifies the server's certificate: the login goes to whoever answers"
            ]
        if self._cert is not True and self._roots != self._cert:
            return [f"dbt's driver takes the roots in {self._roots}, of {_variable()}, in place of cert"]
        return []

    @property
    def version(self) -> str:
        """Differs wherever the files do."""
        return str(self._versions)

    def read(self, deadline: Deadline) -> None:
        """Raises `ComputeConfigurationError` where a file is not what it should be.

        And `ComputeTimeoutError`: a network's file system may never answer.
        """
        if not self._encrypted:
            return
        try:
            self._versions, self._context, client_ends = self._calls.run(
                deadline.remaining(), ("certificates", self._roots, self._client), self._loaded
            )
        except ComputeTimeoutError as error:
            raise ComputeTimeoutError(f"{error} while reading the files of TLS") from None
        note_expiry(ExpiryKind.KEY, client_ends, "the client's certificate")

    def context(self) -> ssl.SSLContext:
        """After `read`; of a proxy that is spoken to in TLS, where the server is not, the usual one."""
        return self._context or tls_context(roots(cert=True))

    def _loaded(self) -> tuple[tuple[Version | None, ...], ssl.SSLContext, float | None]:
        """Versions and context, and when the client's certificate ends."""
        trusted = None if self._roots is None else roots_version(self._roots)
        certificate, key = (None if path is None else roots_version(path) for path in self._client)
        if certificate is None or key is None:
            return (trusted,), tls_context(self._roots, verify=trusted is not None), None
        context = _with_client(trusted, certificate, key)
        return (trusted, certificate, key), context, end_of_certificate(certificate)


def load_roots(config: TrinoConfig) -> None:
    """Once for a process: it takes some 20 ms. What cannot be read, the validation reports."""
    trusted = roots(config.cert)
    if config.scheme == "https" and trusted is not None:
        tls_context(trusted)


def roots(cert: bool | str | None) -> str | None:
    """The file or directory of roots; None where no certificate is verified.

    The requests library takes those of its variables even where the caller wants others, or none.
    """
    variable = _variable()
    if variable is not None:
        return os.environ[variable]
    if isinstance(cert, str):
        return cert
    return certifi.where() if cert else None


def _variable() -> str | None:
    return next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)), None)


@lru_cache(maxsize=16)
def _with_client(trusted: Version | None, certificate: Version, key: Version) -> ssl.SSLContext:
    """One of its own: those of the toolkit are shared, and not to be changed."""
    if trusted is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        place = Path(trusted[0])
        tls_context(place)  # says what is wrong with them
        cafile, capath = (None, place) if place.is_dir() else (place, None)
        context = ssl.create_default_context(cafile=cafile, capath=capath)
    load_client_certificate(context, certificate[0], key[0])
    return context
