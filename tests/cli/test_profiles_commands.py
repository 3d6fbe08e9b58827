"""`profiles show|diff|write`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
