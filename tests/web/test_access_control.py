"""Each way in tried from outside, over real sockets: without, with wrong, expired and right credentials."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floe_monitor.credentials.hashing import PasswordHash, new_token, token_hash
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.web.access_control import AccessControl, Refusal
from floe_monitor.web.authentication import Authenticator
from floe_monitor.web.listener_identity import ListenerIdentity

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

NETWORK = ListenerIdentity("network", "0.0.0.0")  # noqa: S104 - nothing is bound there
LOOPBACK = ListenerIdentity("loopback", "127.0.0.1")
SOCKET = ListenerIdentity("socket")

TOKENS = {name: new_token() for name in ("reader", "scraper", "actor", "ended")}
PASSWORD = "correct horse battery"


def cheap_hash(password: str) -> str:
    """Of the form that counts, with the least work."""
    salt = b"0123456789abcdef"
    digest = hashlib.scrypt(password.encode(), salt=salt, n=2, r=1, p=1, dklen=32)
    return str(PasswordHash(1, 1, 1, salt, digest))


HASH = cheap_hash(PASSWORD)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def basic_value(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": basic_value(f"{user}:{password}")}


ACCESS: dict[str, Any] = {
    "tokens": {
        "reader": {"hash": token_hash(TOKENS["reader"]), "scopes": ["read"], "expires": "2999-01-01"},
        "scraper": {"hash": token_hash(TOKENS["scraper"]), "scopes": ["metrics"]},
        "actor": {"hash": token_hash(TOKENS["actor"]), "scopes": ["act"]},
        "ended": {
            "hash": token_hash(TOKENS["ended"]),
            "scopes": ["read", "metrics", "act"],
            "expires": "2026-01-31T12:00:00Z",
        },
    },
    "users": {"anna": {"password_hash": {"env": "ANNA"}, "scopes": ["read", "act"]}},
}
PROXY = {"addresses": ["127.0.0.1"], "user_header": "X-Forwarded-User", "scopes": ["read"]}
ROUTES = {
    "health": ("GET", "/healthz"),
    "ready": ("GET", "/readyz"),
    "asset": ("GET", "/assets/page.css"),
    "metrics": ("GET", "/metrics"),
    "page": ("GET", "/"),
    "target": ("GET", "/targets/dev"),
    "api": ("GET", "/api/v1/targets"),
    "nowhere": ("GET", "/nowhere"),
    "validate": ("POST", "/api/v1/targets/dev/validate"),
    "reload": ("POST", "/-/reload"),
}
OPEN = {"health": 200, "ready": 200, "asset": 200, "metrics": 200}
READ = {"page": 200, "target": 200, "api": 200, "nowhere": 404}
ACT = {"validate": 200, "reload": 200}


def refused(status: int) -> dict[str, int]:
    return dict.fromkeys((*READ, *ACT), status)


CREDENTIALS: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "none": ({}, refused(401)),
    "a wrong token": (bearer(new_token()), refused(401)),
    "a token that ended": (bearer(TOKENS["ended"]), refused(401)),
    "half a token": (bearer(TOKENS["actor"][:-1]), refused(401)),
    "the hash for a token": (bearer(token_hash(TOKENS["actor"])), refused(401)),
    "no token": ({"authorization": "Bearer"}, refused(401)),
    "an unknown scheme": ({"authorization": "Digest x"}, refused(401)),
    "a token to read": (bearer(TOKENS["reader"]), refused(403) | READ),
    "a token for metrics": (bearer(TOKENS["scraper"]), refused(403)),
    "a token to act": (bearer(TOKENS["actor"]), refused(403) | ACT),
    "a wrong password": (basic("anna", "wrong horse"), refused(401)),
    "an unknown user": (basic("bob", PASSWORD), refused(401)),
    "no base64": ({"authorization": "Basic ???"}, refused(401)),
    "the right password": (basic("anna", PASSWORD), READ | ACT),
    "a user that no proxy named": ({"x-forwarded-user": "carol"}, refused(401)),
}


async def ask(client: httpx.AsyncClient, name: str, headers: Any = None) -> httpx.Response:
    method, path = ROUTES[name]
    return await client.request(method, path, headers=headers)


@pytest.fixture
def controlled(surface: Any, serving: Any) -> Any:
    """The surface of a listener, with its users' hashes read."""
    surface.environ["ANNA"] = HASH

    def made(listener: ListenerIdentity = NETWORK, **http: Any) -> Any:
        app = surface.app(listener, **{**ACCESS, **http})
        return serving(_with_users(app, surface.access))

    return made


def _with_users(app: Any, access: Any) -> Any:
    read: list[None] = []

    async def ready(scope: Any, receive: Any, send: Any) -> None:
        if not read:
            read.append(await access._authenticator.read_users())
        await app(scope, receive, send)

    return ready


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_from_outside(surface: Any, controlled: Any, credential: str) -> None:
    headers, expected = CREDENTIALS[credential]
    async with controlled(rate_limit={"failures": 100}) as client:
        found = {name: (await ask(client, name, headers)).status_code for name in ROUTES}
    assert found == OPEN | expected
    assert surface.control.reloads == (expected["reload"] == 200)
    assert surface.control.validated == ["dev"] * (expected["validate"] == 200)


async def test_metrics_are_closed_where_that_is_asked_for_whatever_the_entrance(controlled: Any) -> None:
    for listener in (NETWORK, LOOPBACK, SOCKET):
        async with controlled(listener, metrics_auth=True) as client:
            for headers, status in (
                ({}, 401),
                (bearer(new_token()), 401),
                (bearer(TOKENS["ended"]), 401),
                (bearer(TOKENS["reader"]), 403),
                (bearer(TOKENS["scraper"]), 200),
            ):
                answer = await ask(client, "metrics", headers)
                assert answer.status_code == status, (listener, headers)
            assert (await ask(client, "health")).status_code == 200


async def test_what_is_read_may_be_for_everybody_and_acting_is_not(controlled: Any) -> None:
    async with controlled(public_read=True) as client:
        found = {name: (await ask(client, name)).status_code for name in ROUTES}
        assert found == OPEN | READ | dict.fromkeys(ACT, 401)


@pytest.mark.parametrize("listener", [LOOPBACK, SOCKET], ids=lambda listener: listener.kind)
async def test_this_machine_needs_no_credential_and_a_wrong_one_shuts_nothing(
    controlled: Any, listener: ListenerIdentity, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy in front may pass its own users' credentials on."""
    async with controlled(listener, rate_limit={"failures": 1}) as client:
        for headers in ({}, bearer(new_token()), basic("anna", "wrong horse")):
            found = {name: (await ask(client, name, headers)).status_code for name in ROUTES}
            assert found == OPEN | READ | ACT
    assert "refused" not in caplog.text


async def test_what_does_not_say_where_it_came_in_is_from_outside(surface: Any) -> None:
    import httpx

    transport = httpx.ASGITransport(surface.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await ask(client, "api")).status_code == 401


async def test_a_proxy_that_is_believed_names_its_user(surface: Any, controlled: Any) -> None:
    """And its requests are from outside, although they come in by loopback."""
    for listener in (NETWORK, LOOPBACK):
        async with controlled(listener, proxy=PROXY) as client:
            named = {"x-forwarded-user": "carol", "x-forwarded-for": "198.51.100.7"}
            assert (await ask(client, "api", named)).status_code == 200
            assert (await ask(client, "reload", named)).status_code == 403
            assert (await ask(client, "api")).status_code == 401
            assert (await ask(client, "reload")).status_code == 401
            # Two: the second may be the client's own. A proxy that names nobody: the credential counts.
            two = [("x-forwarded-user", "carol"), ("x-forwarded-user", "root")]
            assert (await ask(client, "api", two)).status_code == 401
            assert (await ask(client, "api", {"x-forwarded-user": "a" * 129})).status_code == 401
            assert (await ask(client, "reload", bearer(TOKENS["actor"]))).status_code == 200
    refusal = next(event for event in surface.events if event.status == 403)
    assert (refusal.by, refusal.client, refusal.outcome) == ("forwarded carol", "198.51.100.7", "refused")


async def test_the_socket_may_be_a_proxys(controlled: Any) -> None:
    async with controlled(SOCKET, proxy={**PROXY, "addresses": ["unix"]}) as client:
        # httpx has come by TCP: to this rule it is no proxy.
        assert (await ask(client, "api", {"x-forwarded-user": "carol"})).status_code == 200
        assert (await ask(client, "reload")).status_code == 200


async def test_refusals_say_what_to_do(controlled: Any) -> None:
    async with controlled() as client:
        anonymous = await ask(client, "api")
        assert anonymous.headers.get_list("www-authenticate") == [
            'Basic realm="floe-monitor", charset="UTF-8"',
            'Bearer realm="floe-monitor"',
        ]
        assert "http.public_read" in anonymous.json()["detail"]
        assert "floe-monitor token NAME" in anonymous.json()["detail"]
        assert "the scope act" in (await ask(client, "reload")).json()["detail"]
        ended = (await ask(client, "api", bearer(TOKENS["ended"]))).json()["detail"]
        assert ended == (
            "the token 'ended' ended at 2026-01-31 12:00:00+00:00; "
            "make a new one with `floe-monitor token ended`"
        )
        lacking = (await ask(client, "reload", bearer(TOKENS["reader"]))).json()["detail"]
        assert lacking == "token reader may read; this wants the scope act"
        page = await ask(client, "page", {"accept": "text/html"})
        assert page.status_code == 401
        assert "<h1>Unauthorized</h1>" in page.text
    async with controlled(users={}) as client:
        assert (await ask(client, "api")).headers.get_list("www-authenticate") == [
            'Bearer realm="floe-monitor"'
        ]


async def test_no_answer_and_no_line_repeats_a_credential(
    controlled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = new_token()
    async with controlled() as client:
        for headers in (bearer(wrong), basic("canary-user", "canary-password"), {"authorization": wrong}):
            answer = await ask(client, "api", headers)
            for text in (answer.text, str(answer.headers), caplog.text):
                assert wrong not in text
                assert "canary" not in text
        assert HASH not in (await ask(client, "api", basic("anna", PASSWORD))).text
    assert "refused a credential from 127.0.0.1" in caplog.text


async def test_every_act_is_told(surface: Any, controlled: Any) -> None:
    async with controlled() as client:
        await ask(client, "validate", bearer(TOKENS["actor"]))
        surface.control.problems = ("x.yaml:1:1: bad",)
        await ask(client, "reload", basic("anna", PASSWORD))
        await ask(client, "reload")
        await client.post("/-/reload", headers={"origin": "https://evil.example", **bearer(TOKENS["actor"])})
        await client.post("/api/v1/targets/none/validate", headers=bearer(TOKENS["actor"]))
        await ask(client, "api", bearer(TOKENS["reader"]))
        await client.post("/nowhere")
    told = [(event.action, event.target, event.by, event.outcome, event.status) for event in surface.events]
    assert told == [
        ("validate", "dev", "token actor", "healthy", 200),
        ("reload", None, "user anna", "configuration refused", 422),
        ("reload", None, "anonymous", "refused", 401),
        ("reload", None, "anonymous", "refused", 403),
        ("validate", "none", "token actor", "failed", 404),
    ]
    assert {event.client for event in surface.events} == {"127.0.0.1"}


async def test_an_act_that_fails_unforeseen_is_told_too(surface: Any, controlled: Any) -> None:
    async def broken(name: str) -> Any:
        raise ZeroDivisionError

    surface.control.validate = broken
    async with controlled(LOOPBACK) as client:
        assert (await ask(client, "validate")).status_code == 500
    assert [(event.by, event.outcome, event.status) for event in surface.events] == [("local", "failed", 500)]


async def test_one_client_may_not_ask_without_end_and_health_is_not_counted(controlled: Any) -> None:
    async with controlled(public_read=True, rate_limit={"requests": 1, "burst": 3}) as client:
        statuses = [(await ask(client, "api")).status_code for _ in range(3)]
        limited = await ask(client, "api")
        assert statuses == [200, 200, 200]
        assert limited.status_code == 429
        assert limited.headers["retry-after"] == "1"
        assert (await ask(client, "metrics")).status_code == 429
        assert [(await ask(client, "health")).status_code for _ in range(10)] == [200] * 10
    async with controlled(LOOPBACK, rate_limit={"requests": 1, "burst": 1}) as client:
        assert [(await ask(client, "api")).status_code for _ in range(5)] == [200] * 5


async def test_clients_behind_a_proxy_are_counted_apart(controlled: Any) -> None:
    limit = {"requests": 1, "burst": 1}
    async with controlled(public_read=True, proxy=PROXY, rate_limit=limit) as client:
        for address in ("198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8:0:1::1"):
            assert (await ask(client, "api", {"x-forwarded-for": address})).status_code == 200
        # Another address of the same /64, and what the client itself has put before its own.
        for repeated in ("2001:db8::2", "203.0.113.9, 198.51.100.1"):
            assert (await ask(client, "api", {"x-forwarded-for": repeated})).status_code == 429


async def test_guessing_passwords_is_slow_and_shuts_out_nobody_who_is_known(controlled: Any) -> None:
    async with controlled(rate_limit={"failures": 2}) as client:
        assert (await ask(client, "api", basic("anna", PASSWORD))).status_code == 200
        statuses = [(await ask(client, "api", basic("anna", f"guess {n}"))).status_code for n in range(4)]
        assert statuses == [401, 401, 429, 429]
        assert (await ask(client, "api", basic("anna", PASSWORD))).status_code == 200
        assert (await ask(client, "api", bearer(TOKENS["reader"]))).status_code == 200


async def test_logins_wait_for_one_thread_and_not_without_end(surface: Any, controlled: Any) -> None:
    async with controlled(rate_limit={"failures": 1000}) as client:
        assert (await ask(client, "health")).status_code == 200
        thread, holder = surface.access._authenticator._one_at_a_time, object()
        thread.acquire_on_behalf_of_nowait(holder)
        found: list[int] = []

        async def guess(n: int) -> None:
            found.append((await ask(client, "api", basic("anna", f"guess {n}"))).status_code)

        async with anyio.create_task_group() as tasks:
            for n in range(20):
                tasks.start_soon(guess, n)
            with anyio.fail_after(60):
                while len(found) < 12:  # noqa: ASYNC110 - the answers to those that need not wait
                    await anyio.sleep(0.01)
            assert (await ask(client, "api", bearer(TOKENS["reader"]))).status_code == 200
            thread.release_on_behalf_of(holder)
        assert found == [503] * 12 + [401] * 8


async def test_a_reload_takes_a_token_away_at_once(surface: Any, controlled: Any) -> None:
    async with controlled() as client:
        assert (await ask(client, "api", bearer(TOKENS["reader"]))).status_code == 200
        surface.access.apply(HttpSettings.model_validate({"tokens": {}}))
        assert (await ask(client, "api", bearer(TOKENS["reader"]))).status_code == 401


async def test_a_replaced_hash_is_another_password(
    surface: Any, controlled: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "anna"
    file.write_text(HASH + "\n")
    users = {"anna": {"password_hash": {"file": str(file)}, "scopes": ["read"]}}
    async with controlled(users=users, rate_limit={"burst": 1_000_000, "failures": 10_000}) as client:
        assert (await ask(client, "api", basic("anna", PASSWORD))).status_code == 200
        task = asyncio.create_task(surface.access.keep_current(lambda: 0.01))
        try:
            for content, status in ((cheap_hash("another one"), 401), (HASH, 200)):
                replace(file, content)
                await until(client, basic("anna", PASSWORD), status)
            replace(file, "junk")
            await until(client, basic("anna", PASSWORD), 401)
            told = caplog.text.count("http.users.anna.password_hash")
            file.unlink()
            while "no such file" not in caplog.text:  # noqa: ASYNC110 - a log signals nothing
                await anyio.sleep(0.01)
        finally:
            task.cancel()
    assert told == 1
    assert "make one with `floe-monitor password`" in caplog.text
    assert "junk" not in caplog.text


def replace(file: Path, content: str) -> None:
    """At once: one that is half written is another content."""
    fresh = file.with_suffix(".new")
    fresh.write_text(content)
    fresh.rename(file)


async def until(client: httpx.AsyncClient, headers: Any, status: int) -> None:
    with anyio.fail_after(60):
        while (await ask(client, "api", headers)).status_code != status:  # noqa: ASYNC110 - asked again
            await anyio.sleep(0.02)


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


TEXT = st.text(st.characters(max_codepoint=255), max_size=80)


@settings(max_examples=60, deadline=None)
@given(
    authorization=st.lists(
        st.one_of(TEXT, TEXT.map("Bearer {}".format), TEXT.map("Basic {}".format), TEXT.map(basic_value)),
        max_size=2,
    ),
    forwarded=st.lists(TEXT, max_size=3),
    user=st.lists(TEXT, max_size=2),
    peer=st.sampled_from(["127.0.0.1", "198.51.100.7", "::1", "", None]),
)
def test_nothing_that_can_be_sent_acts_or_raises(
    authorization: list[str], forwarded: list[str], user: list[str], peer: str | None
) -> None:
    fields = [
        *((b"authorization", each) for each in authorization),
        *((b"x-forwarded-for", each) for each in forwarded),
        *((b"x-forwarded-user", each) for each in user),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/-/reload",
        "client": (peer, 1) if peer is not None else None,
        "headers": [(name, value.encode("latin-1")) for name, value in fields],
        "state": dict(NETWORK.state),
    }

    async def admitted() -> Any:
        access = AccessControl(
            HttpSettings.model_validate({**ACCESS, "proxy": PROXY}), Authenticator({"ANNA": HASH})
        )
        await access._authenticator.read_users()
        return await access.admit(scope)

    found = anyio.run(admitted)
    assert isinstance(found, Refusal)
    assert found.status in (401, 403, 429)


async def test_what_is_refused_is_counted_by_reason(surface: Any, serving: Any) -> None:
    app = surface.app(NETWORK, **{**ACCESS, "rate_limit": {"requests": 1, "burst": 8}})
    async with serving(app) as client:
        counts = surface.state.refused_requests
        assert set(counts.values()) == {0}, "each is there from the start, for rate()"
        await client.get("/api/v1/status")
        await client.get("/api/v1/status", headers=bearer("floe_wrong"))
        await client.get("/api/v1/status", headers=bearer(TOKENS["scraper"]))
        foreign = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
        await client.post("/-/reload", headers={**foreign, **bearer(TOKENS["actor"])})
        assert await client.get("/api/v1/status", headers=bearer(TOKENS["reader"]))
        asked = {"unauthenticated": 2, "forbidden": 1, "origin": 1, "rate_limit": 0, "busy": 0}
        assert counts == asked
        statuses = [(await client.get("/metrics")).status_code for _ in range(12)]
        assert counts == {**asked, "rate_limit": statuses.count(429)}
        assert statuses.count(429) > 0
