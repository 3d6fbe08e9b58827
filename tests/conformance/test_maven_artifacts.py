"""Files from Maven Central are taken by their hash. Maven here is a script that leaves what it is told to."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from conformance import maven_artifacts

if TYPE_CHECKING:
    from pathlib import Path

RIGHT = b"the server"
ARTIFACT = maven_artifacts.Artifact("org.example", "server", "1", "tar.gz", hashlib.sha256(RIGHT).hexdigest())


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a PATH with nothing in them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def install(place: Path, content: str) -> None:
    """A Maven that downloads that; it counts its calls."""
    script = place / "bin" / "mvn"
    file = ARTIFACT.file
    script.write_text(
        f"#!/bin/sh\n/bin/mkdir -p '{file.parent}'\n"
        f"printf '{content}' > '{file}'\necho \"$@\" >> '{place}/calls'\necho 'said Maven'\n"
    )
    script.chmod(0o755)


@pytest.mark.process
def test_what_is_missing_is_downloaded_once(bare: Path) -> None:
    install(bare, RIGHT.decode())
    assert maven_artifacts.fetched(ARTIFACT).read_bytes() == RIGHT
    assert maven_artifacts.fetched(ARTIFACT) == bare / ".m2/repository/org/example/server/1/server-1.tar.gz"
    [call] = (bare / "calls").read_text().splitlines()
    assert f"-Dmaven.repo.local={bare}/.m2/repository" in call
    assert "-Dartifact=org.example:server:1:tar.gz" in call


@pytest.mark.process
def test_what_has_another_hash_is_not_taken(bare: Path) -> None:
    install(bare, "something else")
    with pytest.raises(RuntimeError, match="said Maven"):
        maven_artifacts.fetched(ARTIFACT)
    assert len((bare / "calls").read_text().splitlines()) == 3


def test_without_maven_the_reason_is_told(bare: Path) -> None:
    with pytest.raises(RuntimeError, match="needs Maven"):
        maven_artifacts.fetched(ARTIFACT)
    ARTIFACT.file.parent.mkdir(parents=True)
    ARTIFACT.file.write_bytes(RIGHT)
    assert maven_artifacts.fetched(ARTIFACT).read_bytes() == RIGHT
