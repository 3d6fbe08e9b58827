"""When an X.509 certificate ends, whoever verified it or nobody.

`ssl` decodes the certificate of a peer only where it has verified it, and a target may have that turned off.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

_SEQUENCE, _VERSION = 0x30, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_SHORT, _LONG = len("YYMMDDHHMMSSZ"), len("YYYYMMDDHHMMSSZ")


def valid_until(der: bytes | None) -> float | None:
    """Its `notAfter` in Unix time; None for what is no certificate."""
    if not der:
        return None
    try:
        certificate = _inside(der, 0, _SEQUENCE)
        at = _inside(der, certificate, _SEQUENCE)
        if der[at] == _VERSION:
            at = _element(der, at)[2]
        for _ in range(3):  # serial number, algorithm, issuer
            at = _element(der, at)[2]
        not_before = _inside(der, at, _SEQUENCE)
        return _time(der, _element(der, not_before)[2])
    except (IndexError, ValueError):
        return None


def pem_valid_until(text: str) -> float | None:
    """Of the first certificate in a file of PEM, which is the one that a client shows."""
    start = text.find(ssl.PEM_HEADER)
    end = text.find(ssl.PEM_FOOTER, start)
    if start < 0 or end < 0:
        return None
    try:
        return valid_until(ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)]))
    except ValueError:
        return None


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """The tag at `at`, where its content begins, and where it ends."""
    tag, length, content = der[at], der[at + 1], at + 2
    if length >= 0x80:
        size = length - 0x80
        length, content = int.from_bytes(der[content : content + size]), content + size
    end = content + length
    if end > len(der):
        raise ValueError
    return tag, content, end


def _inside(der: bytes, at: int, tag: int) -> int:
    found, content, _ = _element(der, at)
    if found != tag:
        raise ValueError
    return content


def _time(der: bytes, at: int) -> float:
    """As RFC 5280 has them: always with seconds, always in UTC; years of two digits are 1950 to 2049."""
    tag, content, end = _element(der, at)
    text = der[content:end].decode("ascii")
    if tag == _UTC_TIME and len(text) == _SHORT:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError
    if len(text) != _LONG or not text.endswith("Z"):
        raise ValueError
    # Not by `strptime`, which imports its module within the first validation's deadline.
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp()
