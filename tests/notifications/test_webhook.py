"""The webhook's signature, as the page's own snippet verifies it, and what a receiver makes of a replay."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conformance.loopback_server import HttpHandler, LoopbackServer
from floe_monitor.notifications.webhook import signed, signing_key
from tests.notifications.conftest import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notifications.conftest import World

DOCS = Path(__file__).parents[2] / "docs"
PAGE, SECURITY = ((DOCS / name).read_text() for name in ("notifications.md", "security.md"))


@pytest.fixture
def verify() -> Callable[..., Any]:
    [snippet] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - the page's own
    found: Callable[..., Any] = names["verify"]
    return found


@pytest.mark.parametrize("secret", [SECRET, "whsec_" + base64.b64encode(b"k" * 32).decode()])
def test_the_snippet_of_the_page_believes_what_is_sent_and_nothing_else(
    world: World, verify: Callable[..., Any], secret: str
) -> None:
    world.environ["HOOK_SECRET"] = secret
    world.start()
    world.probe("a")
    world.deliveries["hook"]._transport._clock = lambda: world.at  # type: ignore[attr-defined]
    world.passes()
    [told] = world.receiver.taken
    seen: set[str] = set()
    assert verify(told.headers, told.body, secret, seen, world.at) == told.document["id"]
    assert verify(told.headers, told.body, secret, seen, world.at + 10) is None, "a replay"
    refused: list[tuple[dict[str, str], bytes, str, float]] = [
        (dict(told.headers), told.body, secret, world.at + 301),
        (dict(told.headers), told.body, secret, world.at - 301),
        (dict(told.headers), told.body + b" ", secret, world.at),
        (dict(told.headers), told.body, "another-secret-of-the-webhook", world.at),
        ({**told.headers, "webhook-id": "msg_other"}, told.body, secret, world.at),
        ({**told.headers, "webhook-timestamp": str(int(world.at) + 1)}, told.body, secret, world.at),
        ({**told.headers, "webhook-signature": "v1,"}, told.body, secret, world.at),
    ]
    for headers, body, key, now in refused:
        with pytest.raises(ValueError, match=r"too old|not signed"):
            verify(headers, body, key, set(), now)


class VerifyingReceiver(LoopbackServer):
    """Does with a webhook what the page says."""

    def __init__(self, verify: Callable[..., Any]) -> None:
        self.verify = verify
        self.now = 0.0
        self.seen: set[str] = set()
        self.acted_on: list[str] = []
        super().__init__(_VerifyingHandler)


class _VerifyingHandler(HttpHandler):
    owner: VerifyingReceiver

    def do_POST(self) -> None:  # noqa: N802 - a name of http.server
        receiver, body = self.owner, self.body()
        try:
            new = receiver.verify(self.headers, body, SECRET, receiver.seen, receiver.now)
        except ValueError:
            self.answer(401, b"")
            return
        if new is not None:
            receiver.acted_on.append(new)
        self.answer(204, b"")


def test_the_receivers_door_is_as_the_table_says(world: World, verify: Callable[..., Any]) -> None:
    """What the monitor has sent, sent on by somebody who saw it."""
    world.probe("a")
    world.passes()
    [sent] = world.receiver.taken
    kept = {name: text for name, text in sent.headers.items() if name.startswith("webhook-")}
    stamp = int(kept["webhook-timestamp"])
    other = signed(kept["webhook-id"], stamp, sent.body, signing_key("another-secret-of-the-webhook"))
    unsigned = {name: text for name, text in kept.items() if name != "webhook-signature"}
    tries: dict[str, list[tuple[dict[str, str], bytes, float]]] = {
        "as it was sent": [(kept, sent.body, 0)],
        "the same once more": [(kept, sent.body, 0)],
        "the same five minutes later, or before its time": [
            (kept, sent.body, 301),
            (kept, sent.body, -301),
        ],
        "without a signature, or with one that is none": [
            ({}, sent.body, 0),
            (unsigned, sent.body, 0),
            *(
                ({**unsigned, "webhook-signature": text}, sent.body, 0)
                for text in ("", "v1,", "v1,\xe9", "x")
            ),
        ],
        "signed with another secret": [({**kept, "webhook-signature": other}, sent.body, 0)],
        "with another id, time or body": [
            ({**kept, "webhook-id": "msg_other"}, sent.body, 0),
            ({**kept, "webhook-timestamp": str(stamp + 1)}, sent.body, 0),
            ({**kept, "webhook-timestamp": "soon"}, sent.body, 0),
            (kept, sent.body + b" ", 0),
        ],
    }
    table = re.search(r"^\| a webhook \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", SECURITY, re.MULTILINE)
    assert table is not None
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    assert [line[0] for line in lines] == list(tries)
    with VerifyingReceiver(verify) as receiver, httpx.Client(trust_env=False, timeout=60) as client:
        for name, status, acted_on in lines:
            for headers, body, late in tries[name]:
                receiver.now = stamp + late
                done = len(receiver.acted_on)
                raw = [(key.encode(), text.encode("latin-1")) for key, text in headers.items()]
                answer = client.post(f"http://127.0.0.1:{receiver.port}/", content=body, headers=raw)
                assert str(answer.status_code) == status, (name, headers)
                assert (len(receiver.acted_on) > done) is (acted_on == "yes"), (name, headers)


def test_a_repetition_carries_the_present_time_and_the_same_key(
    world: World, verify: Callable[..., Any]
) -> None:
    world.receiver.status = 500
    world.start()
    world.deliveries["hook"]._transport._clock = lambda: world.at  # type: ignore[attr-defined]
    world.probe("a")
    world.passes()
    world.passes(3600)
    first, second = world.receiver.seen
    seen: set[str] = set()
    assert verify(second.headers, second.body, SECRET, seen, world.at) == first.key
    assert verify(first.headers, first.body, SECRET, seen, world.at - 3600) is None


def test_two_secrets_sign_while_one_is_replaced(world: World, verify: Callable[..., Any]) -> None:
    world.environ["OLD_SECRET"] = "the-former-secret-of-the-webhook"
    webhook = {
        "url": world.receiver.url,
        "secret": {"env": "HOOK_SECRET"},
        "former_secret": {"env": "OLD_SECRET"},
    }
    world.channels = {"hook": {"webhook": webhook}}
    world.start()
    world.probe("a")
    world.passes()
    [told] = world.receiver.taken
    now = int(told.headers["webhook-timestamp"])
    for secret in (SECRET, world.environ["OLD_SECRET"]):
        assert verify(told.headers, told.body, secret, set(), now)


def test_the_body_is_what_the_page_says(world: World) -> None:
    world.probe("a")
    world.passes()
    document = world.receiver.taken[0].document
    [shown] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    keys = set(re.findall(r'"([a-z_]+)":', shown))
    assert set(document) | set(document["notices"][0]) | set(document["monitor"]) == keys
    assert document["version"] == 1
    assert document["notices"][0]["subject"] == world.state.incidents.view()[0].id
