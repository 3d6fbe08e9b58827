"""What TLS trusts and what it shows of the client, as the library below dbt's driver takes both."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute.toolkit.tls import (
    end_of_certificate,
    load_client_certificate,
    roots_version,
    tls_context,
)
from floe_monitor.compute.toolkit.tls_files import LoadedTls, TlsFiles

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.tls import Version
    from floe_monitor_trino.config import TrinoConfig


def tls_files(config: TrinoConfig, calls: BlockingCalls) -> TlsFiles:
    """Of one target that is spoken to in HTTPS."""
    trusted = roots(config.cert)
    client = (config.client_certificate, config.client_private_key)
    return TlsFiles(
        calls,
        ("certificates", trusted, client),
        lambda: _load(trusted, *client),
        otherwise=lambda: tls_context(roots(cert=True)),
    )


def tls_warnings(config: TrinoConfig) -> list[str]:
    """Of one target that is spoken to in HTTPS."""
    trusted = roots(config.cert)
    if trusted is None:
        return [
            "neither dbt nor a probe verifies the server's certificate: the login goes to whoever answers"
        ]
    if config.cert is not True and trusted != config.cert:
        return [f"dbt's driver takes the roots in {trusted}, of {_variable()}, in place of cert"]
    return []


def _load(trusted_roots: str | None, client_certificate: str | None, client_key: str | None) -> LoadedTls:
    """Without `trusted_roots` no certificate is verified."""
    trusted, certificate, key = (
        None if path is None else roots_version(path)
        for path in (trusted_roots, client_certificate, client_key)
    )
    if certificate is None or key is None:
        return LoadedTls(str((trusted,)), tls_context(trusted_roots, verify=trusted is not None))
    context = _with_client(trusted, certificate, key)
    return LoadedTls(str((trusted, certificate, key)), context, end_of_certificate(certificate))


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
