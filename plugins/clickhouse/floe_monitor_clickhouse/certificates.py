"""What TLS trusts and what it shows of the client, as dbt's two drivers take both."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.tls import (
    end_of_certificate,
    load_client_certificate,
    roots_version,
    system_roots,
    tls_context,
)
from floe_monitor.compute.toolkit.tls_files import LoadedTls, TlsFiles

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.tls import Version
    from floe_monitor_clickhouse.config import ClickHouseConfig


def tls_files(config: ClickHouseConfig, calls: BlockingCalls) -> TlsFiles:
    """Of one target with `secure`. Their version is that of the client's files alone."""
    roots = certifi.where() if config.is_native else None
    verified = config.verify is not False
    client = (config.client_cert, config.client_cert_key)
    return TlsFiles(
        calls, ("certificates", roots, verified, client), lambda: _load(roots, client, verified=verified)
    )


def tls_warnings(config: ClickHouseConfig) -> list[str]:
    """Of one target with `secure`."""
    if config.verify is False:
        return [
            "neither dbt nor a probe verifies the server's certificate: the login goes to whoever answers"
        ]
    return []


def _load(roots: str | None, client: tuple[str | None, str | None], *, verified: bool) -> LoadedTls:
    """`roots` of None are the system's, of which SSL_CERT_FILE and SSL_CERT_DIR are a part."""
    certificate, key = client
    usual = tls_context(roots, verify=verified)
    if certificate is None:
        return LoadedTls("", usual)
    versions = tuple(roots_version(path) for path in (certificate, key) if path is not None)
    trusted = None if roots is None else roots_version(roots)
    context = _with_client(trusted, verified, system_roots(), *versions)
    return LoadedTls(str(versions), context, end_of_certificate(versions[0]))


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
