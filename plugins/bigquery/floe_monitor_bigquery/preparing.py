"""What the first validation of a target would import and load, done ahead of it: outside of its deadline."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import floe_monitor_bigquery.validating  # noqa: F401 - and with it the driver
from floe_monitor_bigquery import wire

if TYPE_CHECKING:
    from floe_monitor_bigquery.config import BigQueryConfig

_WITH_ANY_REQUEST = ("netrc", "encodings.idna")
_IMPERSONATION = ("google.auth.impersonated_credentials", "_strptime")
_OF_METHOD = {
    # Its file says which kind it is; that is left to the validation, which reads it anew each time.
    "oauth": (
        "google.oauth2.service_account", "google.oauth2.credentials", "google.auth.compute_engine",
        "google.auth.external_account_authorized_user", "google.auth.identity_pool", "google.auth.aws",
        *_IMPERSONATION,
    ),
    "service-account": ("google.oauth2.service_account",),
    "service-account-json": ("google.oauth2.service_account",),
    "oauth-secrets": ("google.oauth2.credentials",),
}  # fmt: skip
"""What the libraries import when a request or a token is first wanted."""


def prepare(config: BigQueryConfig) -> None:
    """No key is read here, and no file but the TLS roots."""
    impersonation = _IMPERSONATION if config.impersonate_service_account else ()
    for name in (*_WITH_ANY_REQUEST, *_OF_METHOD[config.method], *impersonation):
        import_module(name)
    wire.load_roots()
