"""The files of a configuration: what is read of them, and their checksum."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.settings import load
from floe_monitor.settings.files import digest_of
from floe_monitor.settings.loader import watched_by

if TYPE_CHECKING:
    from collections.abc import Callable

    Refused = Callable[..., list[str]]

TARGET = "targets: {dev: {plugin: duckdb}}\n"


def test_the_digest_is_that_of_what_was_read(here: Path) -> None:
    (here / "config.yaml").write_text('include: ["*.d/*.yaml"]\n' + TARGET)
    (here / "a.d").mkdir()
    (here / "a.d" / "x.yaml").write_text("targets: {x: {plugin: duckdb}}")
    loaded = load(Path("config.yaml"), {})
    assert loaded.files == (Path("config.yaml"), Path("a.d/x.yaml"))
    assert loaded.digest == digest_of(loaded.watched)
    assert watched_by(Path("config.yaml"), {}) == loaded.watched
    (here / "a.d" / "y.yaml").write_text("targets: {}")
    changed = digest_of(loaded.watched)
    assert changed != loaded.digest
    (here / "a.d" / "y.yaml").unlink()
    assert digest_of(loaded.watched) == loaded.digest
    (here / "config.yaml").unlink()
    assert digest_of(loaded.watched) != loaded.digest


def test_a_huge_sparse_file_is_refused_unread(here: Path, refused: Refused) -> None:
    with (here / "huge.yaml").open("wb") as file:
        file.truncate(3 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused("include: ['*.yaml']\n" + TARGET) == ["huge.yaml: is larger than 32 MB"]
    digest_of([here / "huge.yaml"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10, "KiB"


def test_files_together_are_bounded(here: Path, refused: Refused) -> None:
    for number in range(5):
        (here / f"part{number}.yaml").write_bytes(b"# " + b"x" * (20 << 20) + b"\n")
    assert refused("include: ['part*.yaml']\n" + TARGET) == [
        "part4.yaml: is not read: the files before it hold more than 64 MB"
    ]


def test_a_path_that_is_none_has_a_digest() -> None:
    assert digest_of([Path("a\0b")]) == digest_of([Path("a\0b")])
