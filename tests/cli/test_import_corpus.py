"""Profiles of many shapes are imported whole: nothing is lost, and the profile stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

CORPUS = sorted((Path(__file__).parents[1] / "profiles" / "corpus").glob("*.yml"))


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 20


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_an_imported_profile_stays_as_it_is(call: Any, place: Path, path: Path) -> None:
    text = path.read_text()
    (place / "profiles.yml").write_text(text)
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == 0, said.err
    said = call("config", "check")
    assert said.code == 0, said.err
    profiles = [each for each in yaml.safe_load(text).values() if "outputs" in each]
    count = sum(len(each["outputs"]) for each in profiles)
    assert f"{count} target" in said.out, "every output is a target"
    said = call("profiles", "diff")
    assert (said.code, said.out) == (0, ""), said.err
    assert call("profiles", "write").code == 0
    assert (place / "profiles.yml").read_text() == text
