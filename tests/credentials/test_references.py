"""References to variables and files: the one reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from floe_monitor.compute.toolkit.env_references import UnresolvedError
from floe_monitor.credentials.references import MAX_SECRET_BYTES, Reference, as_reference, read_secret_file

if TYPE_CHECKING:
    from pathlib import Path


def test_mappings_that_are_references() -> None:
    assert as_reference({"env": "A"}) == Reference("A", None)
    assert as_reference({"env": "A", "file": "/x"}) == Reference("A", "/x")
    for other in ({}, {"env": ""}, {"env": 1}, {"env": "A", "more": "B"}, ["env"], "env", None):
        assert as_reference(other) is None


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b" x ", " x "), ("é\n".encode(), "é")],
)
def test_one_final_newline_is_cut(tmp_path: Path, content: bytes, value: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read_secret_file(str(path)) == value
    assert Reference("UNSET", str(path)).read({}) == value


def test_files_that_give_no_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "newline").write_text("\n")
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    (tmp_path / "utf-16").write_text("hunter2", encoding="utf-16-le")
    (tmp_path / "large").write_bytes(b"a" * (MAX_SECRET_BYTES + 1))
    os.mkfifo(tmp_path / "pipe")
    said = {
        "absent": "no such file or directory",
        "empty": "empty",
        "newline": "empty",
        "binary": "not UTF-8 text",
        "utf-16": "holds NUL bytes; is it UTF-16? Save it as UTF-8",
        "large": "larger than 256 KiB",
        "pipe": "not a regular file",
        ".": "not a regular file",
        "nul\0": "not a usable path",
    }
    for name, reason in said.items():
        path = f"{tmp_path}/{name}"
        with pytest.raises(UnresolvedError) as caught:
            read_secret_file(path)
        assert str(caught.value) == f"file {path}: {reason}"


def test_variables_that_give_no_secret() -> None:
    with pytest.raises(UnresolvedError, match=r"^environment variable X is not set$"):
        Reference("X").read({})
    with pytest.raises(UnresolvedError, match=r"^environment variable X is empty$"):
        Reference("X").read({"X": ""})
