"""A pytest plugin: certificates under one authority for the whole run, which takes a while to make."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.loopback_server import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    Encrypt = Callable[..., ssl.SSLContext]


def in_days(days: int) -> datetime:
    """To the second, as a certificate says it."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def root(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the root that servers' certificates are under."""
    place = tmp_path_factory.mktemp("tls") / "root.pem"
    authority.cert_pem.write_to_path(place)
    return place


@pytest.fixture(scope="session")
def encrypt(authority: trustme.CA) -> Encrypt:
    """A server's TLS: its certificate is for these names, or both of loopback's, and good `until` then."""

    def make(*names: str, until: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(names or ("localhost", LOOPBACK)), not_after=until).configure_cert(context)
        return context

    return make


@pytest.fixture
def tls(encrypt: Encrypt) -> ssl.SSLContext:
    return encrypt()


@pytest.fixture
def client_files(authority: trustme.CA, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Files of a client's certificate, whose common name is dbt, and of its key."""

    def make(until: datetime | None = None) -> tuple[str, str]:
        issued = authority.issue_cert("dbt.example", common_name="dbt", not_after=until)
        certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return str(certificate), str(key)

    return make
