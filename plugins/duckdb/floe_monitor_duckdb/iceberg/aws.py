"""The catalogs of AWS, Glue and S3 Tables, as DuckDB 1.5 reaches them; and what their refusals mean.

Where DuckDB derives something (the address, the service and the region that sign), this derives the same.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ErrorType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

OPTIONS = ("sigv4_service", "sigv4_region")
"""ATTACH options that only SigV4 takes."""

SIGNING_SECRETS = frozenset({"s3", "aws"})
"""Types of secrets whose keys sign requests."""

ENDPOINT_TYPES = ("glue", "s3_tables")
_SERVICES = {"glue": "glue", "s3_tables": "s3tables"}
_REGION = re.compile(r"^(us|eu|ap|sa|ca|me|af|il|mx)-.*\d$")
_ADDRESS = re.compile(r"^(https?://)?[A-Za-z0-9_.:\[\]-]+(/[^\s?#]*)?$", re.IGNORECASE)
_GLUE = re.compile(r"^(:|\d{12}|\d{12}:[^:/]+|[^:]+/[^:]+|\d{12}:[^/]+/[^:]+)$")


def why_not_a_warehouse(endpoint_type: str, warehouse: str) -> str | None:
    """What is wrong with the name, as ATTACH would find it."""
    if endpoint_type == "s3_tables" and warehouse.count(":") != 5:
        return "must be the ARN of a table bucket, arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME"
    if endpoint_type == "glue" and not _GLUE.match(warehouse):
        return "must be `:`, a 12-digit account, CATALOG/DATABASE, or either of the last after ACCOUNT:"
    return None


def endpoint_of(endpoint_type: str, warehouse: str, region: str | None) -> str | None:
    """Where it answers; None where no region is known."""
    if endpoint_type == "s3_tables":
        region = warehouse.split(":")[3]
    return None if not region else f"{_SERVICES[endpoint_type]}.{region}.amazonaws.com/iceberg"


def is_address(endpoint: str) -> bool:
    return bool(_ADDRESS.match(endpoint))


def with_scheme(endpoint: str) -> str:
    """DuckDB speaks HTTPS to an endpoint without one, where it signs."""
    return endpoint if re.match(r"https?://", endpoint, re.IGNORECASE) else f"https://{endpoint}"


def scope_of(endpoint: str) -> tuple[str | None, str | None]:
    """The service and the region in the host: SERVICE.REGION, wherever in it."""
    host = re.sub(r"^https?://", "", endpoint, flags=re.IGNORECASE)
    parts = host.split(".")
    at = next((index for index, part in enumerate(parts) if _REGION.match(part)), None)
    if at is None:
        return None, None
    return (parts[at - 1] if at else None), parts[at]


def missing_scope(endpoint: str, options: Mapping[str, Any]) -> str | None:
    """The option without which DuckDB does not know for what to sign."""
    known = zip(OPTIONS, scope_of(endpoint), strict=True)
    return next((name for name, found in known if found is None and name not in options), None)


_REFUSALS: tuple[tuple[re.Pattern[str], ErrorType, str], ...] = (
    (
        re.compile(r"ExpiredToken|security token .*expired", re.IGNORECASE),
        ErrorType.AUTHENTICATION,
        "the session token has expired",
    ),
    (
        re.compile(r"RequestExpired|RequestTimeTooSkewed|Signature (expired|not yet current)", re.IGNORECASE),
        ErrorType.AUTHENTICATION,
        "the signature is out of its time, so one of the two clocks is wrong",
    ),
    (
        re.compile(
            r"UnrecognizedClient|InvalidClientTokenId|InvalidToken|InvalidAccessKeyId|security token"
            r"|access key id .*does not exist",
            re.IGNORECASE,
        ),
        ErrorType.AUTHENTICATION,
        "it does not know the key ID, or the session token with it",
    ),
    (
        re.compile(r"scoped to"),
        ErrorType.AUTHENTICATION,
        "it is of another service or region than the signature",
    ),
    (
        re.compile(r"SignatureDoesNotMatch|InvalidSignature|request signature", re.IGNORECASE),
        ErrorType.AUTHENTICATION,
        "the signature is wrong, as it is with a wrong secret key",
    ),
    (
        re.compile(r"MissingAuthenticationToken|Missing Authentication Token|IncompleteSignature"),
        ErrorType.AUTHENTICATION,
        "it sees no signature",
    ),
    (
        re.compile(r"AccessDenied|not authorized to perform|Forbidden|OptInRequired|Access Denied"),
        ErrorType.PERMISSION,
        "these credentials have no right to it",
    ),
    (
        re.compile(r"Throttling|TooManyRequests|RequestLimitExceeded|SlowDown"),
        ErrorType.CATALOG,
        "it asks for fewer requests",
    ),
)
"""AWS' common errors, by their names or, where only a message comes, by that; the first that fits."""


def refusal(answer: HttpAnswer) -> tuple[ErrorType, str] | None:
    """What AWS means by this answer; None where it is none of its refusals."""
    if answer.status < 400:
        return None
    text = " ".join([answer.headers.get("x-amzn-errortype", ""), *_texts(answer.body)])
    found = next(((kind, reason) for pattern, kind, reason in _REFUSALS if pattern.search(text)), None)
    if found is None and answer.status in (401, 403):
        return ErrorType.PERMISSION, "these credentials are refused"
    return found


def _texts(body: bytes) -> list[str]:
    """The type and the message of an error, in each of the forms that AWS has for it."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    parts: list[Mapping[str, Any]] = [
        part for part in (document, _get(document, "error")) if isinstance(part, dict)
    ]
    names = ("__type", "type", "code", "Code", "message", "Message")
    return [str(part[name])[:500] for part in parts for name in names if isinstance(part.get(name), str)]


def _get(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None
