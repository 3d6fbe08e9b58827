"""The webhook's signature, as the page's own snippet verifies it, and what a receiver makes of a replay."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.notifications.conftest import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notifications.conftest import World

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()


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
