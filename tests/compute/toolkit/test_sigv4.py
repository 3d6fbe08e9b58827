"""Signature Version 4 against the examples that AWS publishes."""

from __future__ import annotations

import calendar
import hashlib

import pytest

from floe_monitor.compute.toolkit.sigv4 import Signer, signing_key

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EMPTY = hashlib.sha256(b"").hexdigest()
AT = calendar.timegm((2015, 8, 30, 12, 36, 0))


def test_the_key_of_the_documentation() -> None:
    expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    assert signing_key(SECRET, "20150830", "us-east-1", "iam").hex() == expected


@pytest.mark.parametrize(
    ("method", "path", "signature"),
    [
        ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case"],
)
def test_the_suite_of_examples(method: str, path: str, signature: str) -> None:
    signer = Signer(KEY_ID, SECRET, "service", "us-east-1")
    headers = {"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z"}
    assert signer.authorization(method, f"https://example.amazonaws.com{path}", headers, EMPTY) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def test_the_request_that_the_documentation_works_through() -> None:
    signer = Signer(KEY_ID, SECRET, "iam", "us-east-1")
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
    }
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    assert signer.authorization("GET", url, headers, EMPTY).endswith(
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_what_goes_with_a_request() -> None:
    signer = Signer(KEY_ID, SECRET, "glue", "eu-west-1", "a token")
    found = signer.headers("GET", "https://glue.eu-west-1.amazonaws.com:8443/iceberg/v1/config", now=AT)
    assert found["Host"] == "glue.eu-west-1.amazonaws.com:8443"
    assert found["X-Amz-Date"] == "20150830T123600Z"
    assert found["X-Amz-Content-Sha256"] == EMPTY
    assert found["X-Amz-Security-Token"] == "a token"
    assert (
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token," in found["Authorization"]
    )


def test_nothing_secret_is_shown() -> None:
    shown = repr(Signer(KEY_ID, SECRET, "glue", "eu-west-1", "a token"))
    assert SECRET not in shown
    assert "a token" not in shown
