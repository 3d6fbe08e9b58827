"""What TLS trusts, as the libraries below dbt-databricks take it: those of its SDK and of its driver."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import certifi

from floe_monitor.compute import ComputeTimeoutError
from floe_monitor.compute.toolkit.tls import roots_version, tls_context

if TYPE_CHECKING:
    import ssl

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_databricks.config import DatabricksConfig

SDK_RETRIES_SECONDS = 300
"""For how long dbt's SDK tries to have the host tell of itself before it goes on without."""


class Certificates:
    """Of one target, by the files as they are at one validation."""

    def __init__(self, config: DatabricksConfig, calls: BlockingCalls) -> None:
        self._calls = calls
        self._config = config
        self._roots = roots(config)
        self._version = ""
        self._context: ssl.SSLContext | None = None

    @property
    def warnings(self) -> list[str]:
        given = self._config.connection_parameters or {}
        found = []
        if given.get("_tls_no_verify"):
            found.append(
                "dbt's driver does not verify the server's certificate (_tls_no_verify); a probe does"
            )
        if _of_the_sdk() is None and _of_the_driver(self._config):
            found.append(
                f"dbt's SDK does not know the roots of connection_parameters._tls_trusted_ca_file and tries "
                f"again for {SDK_RETRIES_SECONDS} s before each run: name them in REQUESTS_CA_BUNDLE too"
            )
        return found

    @property
    def version(self) -> str:
        """Differs wherever the roots do."""
        return self._version

    def read(self, deadline: Deadline) -> None:
        """Raises `ComputeConfigurationError` where the roots cannot be read, and `ComputeTimeoutError`."""
        try:
            self._version, self._context = self._calls.run(
                deadline.remaining(), ("certificates", self._roots), self._loaded
            )
        except ComputeTimeoutError as error:
            raise ComputeTimeoutError(f"{error} while reading the files of TLS") from None

    def context(self) -> ssl.SSLContext:
        """After `read`."""
        return self._context or tls_context(self._roots)

    def _loaded(self) -> tuple[str, ssl.SSLContext]:
        return str(roots_version(self._roots)), tls_context(self._roots)


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
