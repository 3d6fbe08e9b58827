"""What of AWS is derived as DuckDB derives it, and what its refusals mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from floe_monitor_duckdb.iceberg import aws

from floe_monitor.compute import ErrorType
from floe_monitor.compute.toolkit.http_connection import Headers, HttpAnswer

ARN = "arn:aws:s3tables:us-east-1:123456789012:bucket/floe"


def answer(status: int, body: bytes, kind: str = "") -> HttpAnswer:
    return HttpAnswer(status, "", Headers([("X-Amzn-ErrorType", kind)]), body)


@pytest.mark.parametrize(
    ("status", "kind", "told", "error_type", "text"),
    [
        (403, "ExpiredTokenException", {}, ErrorType.AUTHENTICATION, "expired"),
        (
            403,
            "",
            {"message": "The security token included in the request is expired"},
            ErrorType.AUTHENTICATION,
            "expired",
        ),
        (
            403,
            "",
            {"message": "The security token included in the request is invalid."},
            ErrorType.AUTHENTICATION,
            "the key ID",
        ),
        (
            400,
            "",
            {"__type": "InvalidSignatureException", "message": "Signature expired: 2026"},
            ErrorType.AUTHENTICATION,
            "clocks",
        ),
        (
            403,
            "",
            {"message": "Credential should be scoped to a valid region. "},
            ErrorType.AUTHENTICATION,
            "another service or region",
        ),
        (403, "", {"message": "Missing Authentication Token"}, ErrorType.AUTHENTICATION, "no signature"),
        (
            403,
            "",
            {
                "error": {
                    "type": "AccessDeniedException",
                    "message": "User: x is not authorized",
                    "code": 403,
                }
            },
            ErrorType.PERMISSION,
            "no right",
        ),
        (403, "", {"Message": "something new"}, ErrorType.PERMISSION, "refused"),
        (400, "ThrottlingException", {"message": "Rate exceeded"}, ErrorType.CATALOG, "fewer requests"),
    ],
)
def test_each_of_its_forms(
    status: int, kind: str, told: dict[str, Any], error_type: ErrorType, text: str
) -> None:
    found = aws.refusal(answer(status, json.dumps(told).encode(), kind))
    assert found is not None
    assert found[0] is error_type
    assert text in found[1]


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"{}"), (404, b"{}"), (500, b"<html>"), (502, b""), (400, b"[]")]
)
def test_the_rest_is_no_refusal(status: int, body: bytes) -> None:
    assert aws.refusal(answer(status, body)) is None


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        ("glue.eu-west-1.amazonaws.com/iceberg", ("glue", "eu-west-1")),
        ("https://s3tables.us-gov-west-1.amazonaws.com/iceberg", ("s3tables", "us-gov-west-1")),
        ("glue.cn-north-1.amazonaws.com.cn/iceberg", (None, None)),
        ("us-east-1.example.internal", (None, "us-east-1")),
        ("http://127.0.0.1:4566/iceberg", (None, None)),
    ],
)
def test_what_a_host_is_signed_for(endpoint: str, scope: tuple[str | None, str | None]) -> None:
    assert aws.scope_of(endpoint) == scope


def test_where_each_service_answers() -> None:
    assert aws.endpoint_of("glue", ":", "eu-west-1") == "glue.eu-west-1.amazonaws.com/iceberg"
    assert aws.endpoint_of("s3_tables", ARN, None) == "s3tables.us-east-1.amazonaws.com/iceberg"
    assert aws.endpoint_of("glue", ":", None) is None
