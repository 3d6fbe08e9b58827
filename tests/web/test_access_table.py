"""The tables of docs/security.md that say who is let in, each line tried over real sockets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.credentials.hashing import new_token, token_hash
from tests.web.test_access_control import (
    ACCESS,
    HASH,
    LOOPBACK,
    NETWORK,
    PASSWORD,
    PROXY,
    SOCKET,
    TOKENS,
    _with_users,
    basic,
    bearer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.gate

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
CLOSED: dict[str, Any] = {**ACCESS, "metrics_auth": True, "rate_limit": {"failures": 1_000, "burst": 1_000}}
ROUTES = {
    "page, API": [
        ("GET", path)
        for path in (
            "/",
            "/targets/dev",
            "/incidents",
            "/maintenance",
            "/api/v1/status",
            "/badges/dev/status.svg",
        )
    ],
    "validate, reload": [("POST", "/api/v1/targets/dev/validate"), ("POST", "/-/reload")],
    "`/metrics` with `metrics_auth`": [("GET", "/metrics")],
}
NAMED = {"X-Forwarded-User": "carol"}

LINES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "none": ({}, [{}]),
    "a token that is not known, half of one, or a token's hash": (
        {},
        [bearer(new_token()), bearer(TOKENS["reader"][:-20]), bearer(token_hash(TOKENS["reader"]))],
    ),
    "a token that has ended": ({}, [bearer(TOKENS["ended"])]),
    "a token with the scope `read`": ({}, [bearer(TOKENS["reader"])]),
    "a token with the scope `metrics`": ({}, [bearer(TOKENS["scraper"])]),
    "a token with the scope `act`": ({}, [bearer(TOKENS["actor"])]),
    "an unknown user, a wrong password": ({}, [basic("bob", PASSWORD), basic("anna", "wrong horse")]),
    "the right password, scopes `read` and `act`": ({}, [basic("anna", PASSWORD)]),
    "a user's name in the header, from an address that is no proxy's": (
        {"proxy": {**PROXY, "addresses": ["198.51.100.7"]}},
        [NAMED],
    ),
    "the same from the proxy, scope `read`": ({"proxy": PROXY}, [NAMED]),
    "the same twice, or from a proxy that names nobody": (
        {"proxy": PROXY},
        [[*NAMED.items(), ("X-Forwarded-User", "root")], {"X-Forwarded-User": ""}, {}],
    ),
    "more requests than `http.rate_limit`": (
        {"rate_limit": {"requests": 1, "burst": 1}},
        [bearer(TOKENS["reader"])],
    ),
    "more wrong passwords than `http.rate_limit.failures`": (
        {"rate_limit": {"failures": 1, "burst": 1_000}},
        [basic("anna", "wrong again")],
    ),
    "none, with `http.public_read`": ({"public_read": True}, [{}]),
    "the right one, in a browser on a page of another site": (
        {},
        [{**bearer(TOKENS["actor"]), "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}],
    ),
}
BEFORE: dict[str, Any] = {
    "more requests than `http.rate_limit`": {},
    "more wrong passwords than `http.rate_limit.failures`": basic("anna", "wrong horse"),
}
"""What is sent once before."""

_EVERYBODY = {
    "`/healthz`, `/readyz` (also on `http.health`), style sheet and script of the page": [
        "/healthz", "/readyz", "/assets/page.css", "/assets/page.js",
    ],
    "`/metrics`": ["/metrics"],
    "`/public` and its badges, where `http.public_page` says what they show": [
        "/public", "/public/badges/Warehouse/status.svg",
    ],
}  # fmt: skip


def lines_of(heading: str) -> Iterator[list[str]]:
    """The cells of each line under the table's first heading."""
    table = re.compile(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
    found = table.search(PAGE.read_text())
    assert found is not None, f"no table {heading!r} in {PAGE.name}"
    for line in found[1].splitlines():
        yield [cell.strip() for cell in line.strip("|").split("|")]


TABLE = {name: dict(zip(ROUTES, cells, strict=True)) for name, *cells in lines_of("credential")}


def test_every_line_is_tried() -> None:
    assert list(TABLE) == list(LINES)


@pytest.mark.parametrize("line", TABLE)
async def test_a_credential_opens_what_the_table_says(surface: Any, serving: Any, line: str) -> None:
    surface.environ["ANNA"] = HASH
    http, credentials = LINES[line]
    app = surface.app(NETWORK, **{**CLOSED, **http})
    for limit in (surface.access._requests, surface.access._failures):
        limit._clock = lambda: 0.0  # however slow the machine is, no time passes
    async with serving(_with_users(app, surface.access)) as client:
        if line in BEFORE:
            await client.get("/api/v1/status", headers=BEFORE[line])
        for column, said in TABLE[line].items():
            for method, path in ROUTES[column] if said != "–" else []:
                for headers in credentials:
                    answer = await client.request(method, path, headers=headers)
                    assert str(answer.status_code) == said, (method, path, headers)


async def test_who_needs_no_credential_is_as_the_table_says(surface: Any, serving: Any) -> None:
    first = {asked: (local, other) for asked, local, other, _ in lines_of("asked for")}
    page = {"targets": {"warehouse": "Warehouse"}}
    for listener in (LOOPBACK, SOCKET, NETWORK):
        async with serving(surface.app(listener, **ACCESS, public_page=page)) as client:
            for asked, paths in _EVERYBODY.items():
                assert first.pop(asked, ("everybody", "everybody")) == ("everybody", "everybody")
                for path in paths:
                    assert (await client.get(path)).status_code == 200, (listener, path)
            local = listener is not NETWORK
            for routes in (ROUTES["page, API"], ROUTES["validate, reload"]):
                for method, path in routes:
                    status = (await client.request(method, path)).status_code
                    assert (status == 200) is local, (listener, path, status)
    assert set(first.values()) == {("everybody who gets there", "whoever has the scope")}
    assert len(first) == 2
