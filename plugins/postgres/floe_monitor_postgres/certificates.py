"""The certificates of a session, the server's and the client's, read from the OpenSSL that libpq works with.

libpq tells of TLS its version and cipher alone, but hands out OpenSSL's own object. A second connection for
the certificate would cost the server a process at each probe.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import NamedTuple

from floe_monitor_postgres.libpq import library

_P = ctypes.c_void_p
_SIGNATURES = {
    "PQsslStruct": ([_P, ctypes.c_char_p], _P),
    "SSL_get_certificate": ([_P], _P),
    "X509_free": ([_P], None),
    "i2d_X509": ([_P, _P], ctypes.c_int),
}
_PEER = ("SSL_get1_peer_certificate", "SSL_get_peer_certificate")
"""Of OpenSSL 3, and of those before it. What either gives is the caller's to free."""


class Certificates(NamedTuple):
    """In DER; None where there is none, or none can be read."""

    server: bytes | None = None
    client: bytes | None = None


def certificates_of(connection: int | None) -> Certificates:
    """Of a `PGconn` at that address, once its TLS handshake is over."""
    openssl = _openssl()
    if openssl is None or not connection:
        return Certificates()
    tls = openssl.PQsslStruct(connection, b"OpenSSL")
    if not tls:
        return Certificates()
    peer = openssl.peer(tls)
    try:
        return Certificates(_der(openssl, peer), _der(openssl, openssl.SSL_get_certificate(tls)))
    finally:
        openssl.X509_free(peer)


def _der(openssl: ctypes.CDLL, certificate: int | None) -> bytes | None:
    if not certificate:
        return None
    size = openssl.i2d_X509(certificate, None)
    if size <= 0:
        return None
    buffer = ctypes.create_string_buffer(size)
    end = _P(ctypes.addressof(buffer))  # OpenSSL moves it on
    return buffer.raw if openssl.i2d_X509(certificate, ctypes.byref(end)) == size else None


@lru_cache(maxsize=1)
def _openssl() -> ctypes.CDLL | None:
    """libpq's own: a look-up in its library searches those it is linked to. None where they are unlike it."""
    found = library()
    try:
        for name, (arguments, result) in _SIGNATURES.items():
            function = getattr(found, name)
            function.argtypes, function.restype = arguments, result
        peer = next(getattr(found, name) for name in _PEER if hasattr(found, name))
    except (AttributeError, StopIteration):
        return None
    peer.argtypes, peer.restype = [_P], _P
    assert found is not None  # noqa: S101 - it has all of them
    found.peer = peer  # type: ignore[attr-defined]  # the one of the two that there is
    return found
