"""Tokens and passwords that others prove themselves with to the monitor: it keeps their hashes alone.

A token is random, so one SHA-256 of it gives nothing away. A password is not, so its hash is one that takes
time: scrypt, in the form of the PHC string format, `$scrypt$ln=14,r=8,p=5$SALT$HASH`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass

TOKEN_PREFIX = "floe_"  # noqa: S105 - what programs that search for leaked tokens go by
_TOKEN_BYTES = 32
LEAST_PASSWORD, MOST_PASSWORD = 8, 1024
"""Characters; bytes."""

_LOG_N, _R, _P = 14, 8, 5
"""16 MB and some 150 ms: what OWASP counts as equal to its first choice, with an eighth of the memory."""
_MOST_LOG_N, _MOST_R, _MOST_P = 17, 16, 16
_MOST_MEMORY = 160 << 20
_SALT_BYTES, _HASH_BYTES = 16, 32
_PHC = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{43,86})"
)


class HashFormatError(Exception):
    """A text is no hash of a password; the message says what to do and repeats nothing of it."""


def new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def token_hash(token: str) -> str:
    """As `http.tokens.NAME.hash` has it."""
    return f"sha256:{token_digest(token).hex()}"


@dataclass(frozen=True, slots=True)
class PasswordHash:
    log_n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> PasswordHash:
        """Takes some 150 ms of CPU."""
        empty = cls(_LOG_N, _R, _P, secrets.token_bytes(_SALT_BYTES), b"\0" * _HASH_BYTES)
        return cls(_LOG_N, _R, _P, empty.salt, empty._compute(password))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Raises `HashFormatError`; also for one that would take more memory or time than is bearable."""
        found = _PHC.fullmatch(text.strip())
        if found is None:
            raise HashFormatError("is no hash of a password: make one with `floe-monitor password`")
        log_n, r, p = (int(part) for part in found.groups()[:3])
        if not (1 <= log_n <= _MOST_LOG_N and 1 <= r <= _MOST_R and 1 <= p <= _MOST_P):
            raise HashFormatError("asks for too much work: make one with `floe-monitor password`")
        if (128 * r << log_n) > _MOST_MEMORY:
            raise HashFormatError("asks for too much memory: make one with `floe-monitor password`")
        try:
            salt, digest = (b64decode(part + "=" * (-len(part) % 4)) for part in found.groups()[3:])
        except ValueError:
            raise HashFormatError("is no hash of a password: make one with `floe-monitor password`") from None
        return cls(log_n, r, p, salt, digest)

    def __str__(self) -> str:
        salt, digest = (b64encode(part).decode().rstrip("=") for part in (self.salt, self.digest))
        return f"$scrypt$ln={self.log_n},r={self.r},p={self.p}${salt}${digest}"

    def verify(self, password: str) -> bool:
        """Takes as long whether it is right or not. The interpreter's lock is free meanwhile."""
        return hmac.compare_digest(self.digest, self._compute(password))

    def _compute(self, password: str) -> bytes:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogateescape"),
            salt=self.salt,
            n=1 << self.log_n,
            r=self.r,
            p=self.p,
            maxmem=2 * _MOST_MEMORY,
            dklen=len(self.digest),
        )
