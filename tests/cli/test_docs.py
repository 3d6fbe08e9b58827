"""The reference names every command, option and route there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main

from floe_monitor.cli.app import app
from floe_monitor.domain import serialization
from floe_monitor.web.target_query import PARAMETERS

DOCS = Path(__file__).parents[2] / "docs"


def commands(group: Any, before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{name} ")
        else:
            found[before + name] = command
    return found


def test_every_command_and_option_is_described() -> None:
    text = (DOCS / "cli.md").read_text()
    known = commands(typer.main.get_command(app))
    headings = " ".join(line for line in text.splitlines() if line.startswith("## "))
    for name, command in known.items():
        assert f"`{name}" in headings, name
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert option in text, f"{name} {option}"
    described = set(re.findall(r"`([a-z-]+(?: [a-z]+)?)[` ]", headings))
    assert described == set(known)


def test_every_route_field_and_parameter_is_described() -> None:
    from floe_monitor.domain.liveness import LivenessLimits
    from floe_monitor.domain.state import ConfigStatus, MonitorState
    from floe_monitor.web.app import create_app
    from floe_monitor.web.health import Health

    text = (DOCS / "http-api.md").read_text()
    state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
    nothing: Any = None
    health = Health(state, lambda: LivenessLimits(1))
    routes = create_app(
        state, nothing, nothing, health=health, access=nothing, publish=nothing, feed=nothing
    ).routes
    described = dict(re.findall(r"^\| `(/[^`]*)` \| (GET|POST) \|", text, re.MULTILINE))
    assert {route.path: min(route.methods - {"HEAD"}) for route in routes} == described  # type: ignore[attr-defined]
    for word in (*serialization.TARGET_FIELDS, *PARAMETERS):
        assert f"`{word}`" in text, word
