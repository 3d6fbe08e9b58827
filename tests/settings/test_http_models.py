"""The section `http`: what is understood, and what is said of the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.credentials.hashing import token_hash
from floe_monitor.settings.http_models import HttpSettings

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = token_hash("any")


def test_everything_wrong_is_told_with_its_place_and_the_cure(refused: Callable[..., list[str]]) -> None:
    text = """\
http:
  tokens:
    ci: {hash: "sha256:12", scopes: []}
    late: {hash: "%A", scopes: [reads], expires: soon}
    zoneless: {hash: "%B", scopes: [read], expires: 2027-01-01T10:00:00}
    "bad name": {hash: "%C", scopes: [read]}
  users:
    anna: {password_hash: "$scrypt$ln=14", scopes: [read]}
  proxy: {addresses: [10.0.0.1/8, nonsense], user_header: "a b"}
  socket: {path: %P, mode: 660}
  health: {}
  tls: {certificate: x}
  rate_limit: {requests: 0}
  external_url: https://user@host/x
"""
    for name, value in (
        ("A", token_hash("a")),
        ("B", token_hash("b")),
        ("C", token_hash("c")),
        ("P", "x" * 108),
    ):
        text = text.replace(f"%{name}", value)
    problems = refused(text)
    said = "\n".join(problems)
    for wanted in (
        "3:10: http.tokens.ci.hash: must be as `floe-monitor token` prints it: sha256: and 64 hexadecimal",
        "http.tokens.ci.scopes: must not be empty",
        "http.tokens.late.scopes[0]: must be 'read', 'metrics' or 'act'",
        "http.tokens.late.expires: must be a date or a time: 2027-06-30 or 2027-06-30T18:00:00Z",
        "http.tokens.zoneless.expires: needs a time zone: write 2027-06-30T18:00:00Z",
        "http.tokens.bad name: may hold letters",
        "http.users.anna.password_hash: a literal secret is refused; write {env: NAME} or {file: PATH}",
        "http.proxy.addresses: '10.0.0.1/8' is no address or network: write 10.0.0.7, 10.0.0.0/8 or unix",
        "http.proxy.user_header: must be the name of a header",
        "http.socket.path: is longer than the 107 bytes",
        "http.socket.mode: must be text: put it in quotes",
        "http.health.port: is required",
        "http.tls.key: is required",
        "http.rate_limit.requests: must be greater than or equal to 1",
        "http.external_url: must be a URL of scheme, host and path alone",
    ):
        assert wanted in said, said
    assert len(problems) == 15
    assert "ln=14" not in said


def test_one_token_has_one_name(refused: Callable[..., list[str]]) -> None:
    text = (
        f'http: {{tokens: {{a: {{hash: "{HASH}", scopes: [read]}}, b: {{hash: "{HASH}", scopes: [act]}}}}}}\n'
    )
    (problem,) = refused(text)
    assert "http.tokens.b.hash: is the token 'a' again; make one more with `floe-monitor token`" in problem


def test_a_certificate_for_nothing_is_refused(refused: Callable[..., list[str]]) -> None:
    text = "http: {socket: {path: /run/x, only: true}, tls: {certificate: a, key: b}}\n"
    (problem,) = refused(text)
    assert problem.endswith("http.tls: encrypts nothing: with http.socket.only, host and port are not used")


def test_a_token_may_be_called_like_a_secret(read: Callable[..., Any]) -> None:
    settings = read(
        f'http: {{tokens: {{ci-token: {{hash: "{HASH}", scopes: [read], expires: 2027-06-30}}}}, '
        "users: {password: {password_hash: {file: /run/x}, scopes: [act]}}}\n"
    )
    assert settings.http.tokens["ci-token"].expires == datetime(2027, 6, 30, tzinfo=UTC)
    assert settings.http.users["password"].password_hash.file == "/run/x"


def test_tokens_come_from_the_environment_too(read: Callable[..., Any]) -> None:
    settings = read(
        "targets: {}\n",
        {
            "FLOE_MONITOR_HTTP__TOKENS__CI__HASH": HASH,
            "FLOE_MONITOR_HTTP__TOKENS__CI__SCOPES": '["act"]',
            "FLOE_MONITOR_HTTP__TLS__CERTIFICATE": "/x.crt",
            "FLOE_MONITOR_HTTP__TLS__KEY": "/x.key",
            "FLOE_MONITOR_HTTP__PUBLIC_READ": "true",
            "FLOE_MONITOR_HTTP__HEALTH__PORT": "9465",
        },
    )
    assert settings.http.tokens["ci"].scopes == ["act"]
    assert settings.http.tls.key == "/x.key"
    assert settings.http.public_read is True
    assert settings.http.health.port == 9465


@pytest.mark.parametrize(
    ("written", "kept", "prefix", "origin"),
    [
        ("https://Tools.example/floe/", "https://tools.example/floe", "/floe", "https://tools.example"),
        ("https://tools.example:443", "https://tools.example", "", "https://tools.example"),
        ("http://x:80/a/b//", "http://x/a/b", "/a/b", "http://x"),
        ("http://[fd00::7]:8080/", "http://[fd00::7]:8080", "", "http://[fd00::7]:8080"),
    ],
)
def test_an_external_url_is_kept_as_browsers_write_it(
    written: str, kept: str, prefix: str, origin: str
) -> None:
    http = HttpSettings(external_url=written)
    assert (http.external_url, http.path_prefix, http.external_origin) == (kept, prefix, origin)


@pytest.mark.parametrize(
    "url",
    [
        "tools.example",
        "ftp://x/",
        "https:///floe",
        "https://x/?a",
        "https://x/#a",
        "https://x:0/",
        "https://[",
    ],
)
def test_what_is_no_page_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be a URL of scheme, host and path alone"):
        HttpSettings(external_url=url)


def test_a_prefix_that_hides_a_route_is_refused() -> None:
    for prefix in ("metrics", "api/v2", "-", "targets/x"):
        with pytest.raises(ValueError, match="begins like a route of the monitor's own"):
            HttpSettings(external_url=f"https://x/{prefix}")


def test_what_is_read_at_start_alone_is_where_is_listened() -> None:
    plain = HttpSettings()
    assert HttpSettings(port=1).listening != plain.listening
    assert (
        HttpSettings(public_read=True, external_url="http://x", allowed_hosts=["x"]).listening
        == plain.listening
    )
