"""Ends of certificates, as OpenSSL's own reading has them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from floe_monitor.compute.toolkit.certificates import pem_valid_until, valid_until


@lru_cache(maxsize=1)
def whole() -> bytes:
    return certificate(datetime(2040, 1, 1, tzinfo=UTC)).public_bytes(Encoding.DER)


@lru_cache(maxsize=1)
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(until: datetime) -> x509.Certificate:
    issued = authority().issue_cert("localhost", not_before=datetime(1960, 1, 1, tzinfo=UTC), not_after=until)
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())


@settings(max_examples=30)
@given(st.datetimes(datetime(1961, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - of both ends
def test_the_end_in_either_form_of_times(until: datetime) -> None:
    second = until.replace(microsecond=0)
    made = certificate(second)
    assert valid_until(made.public_bytes(Encoding.DER)) == second.timestamp()
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    text = (key + made.public_bytes(Encoding.PEM)).decode()
    assert pem_valid_until(text) == second.timestamp()


@given(st.data())
def test_a_broken_one_has_none_or_a_time(data: st.DataObject) -> None:
    der = bytearray(whole())
    for place in data.draw(st.lists(st.integers(0, 200), min_size=1, max_size=5)):
        der[place] = data.draw(st.integers(0, 255))
    cut = bytes(der[: data.draw(st.integers(0, len(der)))])
    assert isinstance(valid_until(cut), float | None)


def test_what_is_none() -> None:
    assert valid_until(None) is None
    assert valid_until(b"\x30\x82\xff\xff") is None
    assert pem_valid_until("no certificate") is None
    assert pem_valid_until("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----") is None
