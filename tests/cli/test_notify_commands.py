from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notifications.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Said

    Call = Callable[..., Said]

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def configured(configure: Callable[..., Path], receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "canary-secret-of-the-webhook")
    monkeypatch.setenv("CHAT", f"json://127.0.0.1:{receiver.port}/canary-token")
    webhook = {"url": receiver.url, "secret": {"env": "HOOK_SECRET"}}
    configure(
        {}, notifications={"channels": {"hook": {"webhook": webhook}, "chat": {"apprise": {"env": "CHAT"}}}}
    )


def test_every_channel_gets_a_message_and_says_so(configured: None, call: Call, receiver: Receiver) -> None:
    said = call("notify", "test")
    assert said.code == 0, said.err
    assert [line.split(" in ")[0] for line in said.out.splitlines()] == ["hook: sent", "chat: sent"]
    assert [each.path for each in receiver.taken] == ["/hook", "/canary-token"]
    assert receiver.taken[0].document["type"] == "floe.test"


def test_one_that_is_not_taken_is_named_with_the_reason(
    configured: None, call: Call, receiver: Receiver
) -> None:
    receiver.status = 404
    said = call("notify", "test")
    assert said.code == 1
    assert said.out.splitlines() == [
        "hook: not sent: the receiver answers 404",
        "chat: not sent: the service answers 404",
    ]
    assert "canary" not in said.out + said.err


def test_a_secret_that_is_missing_is_named(
    configured: None, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAT")
    said = call("notify", "test", "chat")
    assert (said.code, said.out) == (1, "chat: not sent: its address: environment variable CHAT is not set\n")
    assert receiver.seen == []


def test_a_channel_that_there_is_not_is_refused(configured: None, call: Call) -> None:
    said = call("notify", "test", "hok")
    assert said.code == 2
    assert "hook" in said.err


def test_without_channels_it_says_what_to_do(configure: Callable[..., Path], call: Call) -> None:
    configure({})
    said = call("notify", "test")
    assert said.code == 2
    assert "notifications.channels" in said.err
