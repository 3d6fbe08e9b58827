"""What TLS trusts, as the libraries below dbt-databricks take it: those of its SDK and of its driver."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute.toolkit.tls import roots_version, tls_context
from floe_monitor.compute.toolkit.tls_files import LoadedTls, TlsFiles

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_databricks.config import DatabricksConfig

SDK_RETRIES_SECONDS = 300
"""For how long dbt's SDK tries to have the host tell of itself before it goes on without."""


def tls_files(config: DatabricksConfig, calls: BlockingCalls) -> TlsFiles:
    """Of one target: its roots alone."""
    trusted = roots(config)
    return TlsFiles(
        calls,
        ("certificates", trusted),
        lambda: LoadedTls(str(roots_version(trusted)), tls_context(trusted)),
        otherwise=lambda: tls_context(trusted),
    )


def tls_warnings(config: DatabricksConfig) -> list[str]:
    given = config.connection_parameters or {}
    found = []
    if given.get("_tls_no_verify"):
        found.append("dbt's driver does not verify the server's certificate (_tls_no_verify); a probe does")
    if _of_the_sdk() is None and _of_the_driver(config):
        found.append(
            f"dbt's SDK does not know the roots of connection_parameters._tls_trusted_ca_file and tries "
            f"again for {SDK_RETRIES_SECONDS} s before each run: name them in REQUESTS_CA_BUNDLE too"
        )
    return found


def roots(config: DatabricksConfig) -> str:
    """The file or directory. With a token dbt gets by without its SDK: then the driver's own count too."""
    return _of_the_sdk() or _of_the_driver(config) or certifi.where()


def load_roots(config: DatabricksConfig) -> None:
    """Once for a process: it takes some 20 ms. What cannot be read, the validation reports."""
    tls_context(roots(config))


def _of_the_sdk() -> str | None:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None


def _of_the_driver(config: DatabricksConfig) -> str | None:
    given = (config.connection_parameters or {}).get("_tls_trusted_ca_file")
    return given if isinstance(given, str) and given and config.login == "token" else None
