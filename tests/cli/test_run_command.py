from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from floe_monitor.cli.run_command import startup_lines
from floe_monitor.credentials.hashing import token_hash
from floe_monitor.daemon.http_surface import Listeners
from floe_monitor.domain.shards import Shard
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.settings import Settings
from floe_monitor.web.listeners import Listener, listen

STATE = MonitorState(started_at=0, config=ConfigStatus(0, 0))
TOKEN = {"ci": {"hash": token_hash("any"), "scopes": ["act"]}}


class Everywhere(Listener):
    """As listening on every address looks from within, without doing so."""

    @property
    def identity(self) -> Any:
        from floe_monitor.web.listener_identity import ListenerIdentity

        return ListenerIdentity("network", "0.0.0.0")  # noqa: S104 - nothing is bound


@pytest.mark.parametrize(
    ("kind", "http", "closed"),
    [
        (Everywhere, {}, "status page, API, validate and reload"),
        (Everywhere, {"public_read": True}, "validate and reload"),
        (Everywhere, {"tokens": TOKEN}, None),
        (Everywhere, {"proxy": {"addresses": ["10.0.0.1"]}}, None),
        (Listener, {}, None),
    ],
)
def test_what_is_closed_for_want_of_a_credential_is_said(
    kind: type[Listener], http: dict[str, Any], closed: str | None
) -> None:
    made = listen("127.0.0.1", 0)
    try:
        listeners = Listeners((kind(made.sockets, made.host, made.port),))
        lines = startup_lines(listeners, Path("x.yaml"), Settings.model_validate({"http": http}), STATE)
    finally:
        made.close()
    said = [line for line in lines if line.startswith("  closed ")]
    assert said == (
        [f"  closed       {closed}: no credential is configured (http.tokens, http.users)"] if closed else []
    )


def test_the_page_is_where_browsers_reach_it_and_health_where_it_answers() -> None:
    main, health = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    socket = Listener((), path="/run/floe.sock")
    settings = Settings.model_validate({"http": {"external_url": "https://tools.example/floe"}})
    try:
        lines = startup_lines(Listeners((main, socket), health), Path("x.yaml"), settings, STATE)
    finally:
        main.close()
        health.close()
    assert lines[1:] == [
        "  status page  https://tools.example/floe/",
        f"  metrics      {main.url}/metrics",
        f"  health       {health.url}/healthz  {health.url}/readyz",
        f"  API          {main.url}/api/v1/targets",
        "  also at      unix:/run/floe.sock",
    ]


@pytest.mark.parametrize("index", [0, 1])
def test_a_shard_says_which_part_it_watches_and_one_of_them_that_it_keeps_the_profiles(index: int) -> None:
    listener = listen("127.0.0.1", 0)
    settings = Settings.model_validate({"profiles": [{"name": "p", "path": "profiles.yml"}]})
    state = MonitorState(0, ConfigStatus(0, 0), shard=Shard(index, 4, 2), configured=8000)
    try:
        lines = startup_lines(Listeners((listener,)), Path("x.yaml"), settings, state)
    finally:
        listener.close()
    assert lines[0].endswith(f" watches 0 of 8000 targets of x.yaml (shard {index} of 4, each on 2)")
    assert any("profiles.yml" in line for line in lines) == (index == 0)
