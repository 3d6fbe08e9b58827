"""`profiles show|diff|write`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}


def test_profiles_are_shown_compared_and_written(call: Any, configure: Any, place: Path) -> None:
    configure({"dev": MEMORY}, profiles=[{"name": "p", "path": "var/profiles.yml", "target": "dev"}])
    assert yaml.safe_load(call("profiles", "show").out)["p"]["outputs"]["dev"]["type"] == "duckdb"
    said = call("profiles", "diff")
    assert said.code == 1
    assert "+  target: dev" in said.out
    assert call("profiles", "write").code == 0
    assert yaml.safe_load((place / "var/profiles.yml").read_text())["p"]["target"] == "dev"
    said = call("profiles", "diff")
    assert (said.code, said.out) == (0, "")
    (place / "var/profiles.yml").write_text("p: [unclosed")
    assert call("profiles", "write").code == 1
    assert (place / "var/profiles.yml").read_text() == "p: [unclosed"


def test_no_profiles_is_said(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY})
    assert "keeps no profile" in call("profiles", "diff").err


def test_a_credential_from_a_file_is_held_by_the_file(call: Any, place: Path) -> None:
    output = "{type: duckdb, path: ':memory:', threads: 1, motherduck_token: canary-91fc}"
    (place / "profiles.yml").write_text(f"shop: {{target: dev, outputs: {{dev: {output}}}}}\n")
    (place / "floe-monitor.yaml").write_text(
        "profiles: [{name: shop, path: profiles.yml}]\n"
        "targets: {dev: {plugin: duckdb, credentials: {motherduck_token: {file: token}}}}\n"
    )
    said = call("profiles", "write")
    assert said.code == 1
    assert "motherduck_token: DBT_ENV_SECRET_DEV_MOTHERDUCK_TOKEN. Set it" in said.err
    assert "canary-91fc" in (place / "profiles.yml").read_text()
    (place / "token").write_text("canary-91fc")
    assert call("profiles", "write").code == 0
    assert "canary-91fc" not in (place / "profiles.yml").read_text()


@pytest.mark.parametrize("command", ["config check", "profiles diff", "profiles write"])
def test_a_home_that_is_not_known_is_a_problem_of_the_configuration(
    call: Any, configure: Any, place: Path, command: str
) -> None:
    configure({"dev": MEMORY}, profiles=[{"name": "floe", "path": "~nosuchuser/profiles.yml"}])
    said = call(*command.split())
    assert said.code == 2
    assert "profiles[0].path: '~nosuchuser' leads nowhere: there is no such user" in said.err
    assert [path.name for path in place.iterdir()] == ["floe-monitor.yaml"]
