"""What dbt's driver trusts: the system's roots, and Amazon's, which it brings along."""

from __future__ import annotations

import os
import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute.toolkit.tls import system_roots, tls_context

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.tls import Version
    from floe_monitor_redshift.config import RedshiftConfig

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_OF_AMAZON = (b"Amazon Root CA", b"Starfield Services Root Certificate Authority")


def database_context(sslmode: str | None) -> ssl.SSLContext:
    """Of a connection to the database: the name in the certificate counts with verify-full alone.

    Raises `ComputeConfigurationError` where the system's roots cannot be read.
    """
    return _database_context(sslmode == "verify-full", system_roots())


def aws_context() -> ssl.SSLContext:
    """Of requests to AWS' services, by the roots that its library takes."""
    variable = next((name for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if os.environ.get(name)), None)
    return tls_context(certifi.where() if variable is None else os.environ[variable])


def load_roots(config: RedshiftConfig) -> None:
    """Once for a process: it takes some 20 ms. What cannot be read, the validation reports."""
    if config.encrypts:
        database_context(config.sslmode)
    if config.asks_aws:
        tls_context(certifi.where())


@lru_cache(maxsize=8)
def _database_context(check_hostname: bool, _: tuple[Version, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_hostname
    context.load_default_certs()
    context.load_verify_locations(cadata=_amazon_roots())
    return context


@lru_cache(maxsize=1)
def _amazon_roots() -> str:
    """Out of certifi's, so that they are kept up to date."""
    found = _PEM.findall(Path(certifi.where()).read_text(encoding="ascii", errors="replace"))
    return "\n".join(
        pem for pem in found if any(name in ssl.PEM_cert_to_DER_cert(pem) for name in _OF_AMAZON)
    )
