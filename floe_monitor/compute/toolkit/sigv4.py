"""AWS Signature Version 4 of one request; the time is given, and nothing is read.

As AWS publishes it for services other than S3: the path as it is sent is encoded once more.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and for which service in which region."""

    key_id: str
    secret: str = field(repr=False)
    service: str
    region: str
    session_token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """What a message may say of it."""
        return f"signed for {self.service} in {self.region}"

    def headers(self, method: str, url: str, *, now: float, body: bytes = b"") -> dict[str, str]:
        """What the request must carry, `Host` and `Authorization` among it. `now` is Unix time."""
        digest = hashlib.sha256(body).hexdigest()
        found = {
            "Host": urlsplit(url).netloc,
            "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)),
            "X-Amz-Content-Sha256": digest,
        }
        if self.session_token:
            found["X-Amz-Security-Token"] = self.session_token
        return {**found, "Authorization": self.authorization(method, url, found, digest)}

    def authorization(self, method: str, url: str, headers: Mapping[str, str], digest: str) -> str:
        """The header of that name, over just these headers; `digest` is the body's SHA-256 in hex."""
        lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        names = ";".join(sorted(lower))
        parts = urlsplit(url)
        canonical = "\n".join(
            [
                method,
                _encoded(parts.path or "/", "/"),
                _query(parts.query),
                *(f"{name}:{lower[name]}" for name in sorted(lower)),
                "",
                names,
                digest,
            ]
        )
        stamp = lower["x-amz-date"]
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        request = hashlib.sha256(canonical.encode()).hexdigest()
        key = signing_key(self.secret, stamp[:8], self.region, self.service)
        signature = _hmac(key, f"{ALGORITHM}\n{stamp}\n{scope}\n{request}").hex()
        return f"{ALGORITHM} Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """`day` is YYYYMMDD."""
    key = f"AWS4{secret}".encode("utf-8", "surrogatepass")
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _query(query: str) -> str:
    pairs = [(_encoded(name), _encoded(value)) for name, value in parse_qsl(query, keep_blank_values=True)]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str, safe: str = "") -> str:
    return quote(text, safe=f"{safe}-_.~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
