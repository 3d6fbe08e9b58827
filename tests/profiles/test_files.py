"""Replacing a file on real file systems."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from floe_monitor.profiles import files
from floe_monitor.profiles.files import ChangedMeanwhileError, FileError

OTHER_UID = 12345


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "profiles.yml"
    path.write_bytes(b"before")
    return path


def put(path: Path, data: bytes) -> None:
    files.replace(files.read(str(path)), data)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_mode_is_kept_and_strict_when_new(path: Path) -> None:
    path.chmod(0o644)
    put(path, b"after")
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    new = path.with_name("new.yml")
    put(new, b"new")
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert names(path.parent) == ["new.yml", "profiles.yml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_is_kept(path: Path) -> None:
    os.chown(path, OTHER_UID, OTHER_UID)
    path.chmod(0o640)
    put(path, b"after")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (OTHER_UID, OTHER_UID, 0o640)


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_owner_that_cannot_be_kept_gives_no_rights_to_another_group() -> None:
    # Not in pytest's own directory: every other run of pytest closes that to other users again.
    with tempfile.TemporaryDirectory(prefix="fm-shared-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        path = directory / "profiles.yml"
        path.write_bytes(b"before")
        path.chmod(0o664)
        run(f"os.setgroups([]); os.setgid({OTHER_UID}); os.setuid({OTHER_UID})", path, b"after")
        assert path.read_bytes() == b"after"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert path.stat().st_gid == OTHER_UID


def run(prepare: str, path: Path, data: bytes) -> str:
    """Replace in a process of its own, prepared so; what went wrong, or nothing."""
    code = (
        "import os, resource, sys\n"
        "from floe_monitor.profiles import files\n"
        "before = files.read(sys.argv[1])\n"
        f"{prepare}\n"
        "try: files.replace(before, os.fsencode(sys.argv[2]))\n"
        "except files.FileError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), os.fsdecode(data)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.process
def test_no_space_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    said = run("resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))", path, b"x" * 1000)
    assert "file size limit" in said
    assert path.read_bytes() == b"before"
    assert names(path.parent) == ["profiles.yml"]


@pytest.mark.process
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "tmpfs", "size=64k") as directory:
        path = directory / "profiles.yml"
        path.write_bytes(b"before")
        with pytest.raises(FileError, match="no space is left"):
            put(path, b"x" * 1_000_000)
        assert path.read_bytes() == b"before"
        assert names(directory) == ["profiles.yml"]


class mounted:  # noqa: N801 - used like a function
    """A file system of this test's own; skips where mounting is not allowed."""

    def __init__(self, where: Path, kind: str, options: str = "", source: Path | None = None) -> None:
        self.where, self.kind, self.options, self.source = where, kind, options, source

    def __enter__(self) -> Path:
        if self.source is None:
            self.where.mkdir()
        command = ["mount", "--bind", str(self.source), str(self.where)]
        if self.source is None:
            command = ["mount", "-t", self.kind, "-o", self.options, "none", str(self.where)]
        if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
            pytest.skip("mounting needs root and CAP_SYS_ADMIN")
        return self.where

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.where)], check=True, timeout=120)


@pytest.mark.process
def test_a_file_mounted_by_itself_is_named_as_such_and_never_written_in_place(
    tmp_path: Path, path: Path
) -> None:
    mount = tmp_path / "mounted.yml"
    mount.touch()
    with mounted(mount, "", source=path):
        with pytest.raises(FileError, match="mounted as a single file"):
            put(mount, b"after")
        assert mount.read_bytes() == b"before"
    assert names(tmp_path) == ["mounted.yml", "profiles.yml"]


@pytest.mark.process
def test_a_read_only_file_system_says_so(tmp_path: Path) -> None:
    with mounted(tmp_path / "ro", "tmpfs", "size=64k") as directory:
        path = directory / "profiles.yml"
        path.write_bytes(b"before")
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True, timeout=120)
        with pytest.raises(FileError, match="read-only"):
            put(path, b"after")
        assert path.read_bytes() == b"before"


def test_a_symbolic_link_is_followed_and_stays(tmp_path: Path, path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.yml"
    link.symlink_to("../profiles.yml")
    put(link, b"after")
    assert link.is_symlink()
    assert path.read_bytes() == b"after"
    assert names(link.parent) == ["link.yml"]


def test_a_dangling_link_gets_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to("target.yml")
    put(link, b"after")
    assert (tmp_path / "target.yml").read_bytes() == b"after"
    assert link.is_symlink()


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for name, says in [("fifo", "regular"), (".", "regular"), ("loop", "circle"), ("fifo/x", "directory")]:
        with pytest.raises(FileError, match=says):
            files.read(str(tmp_path / name))
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    with pytest.raises(FileError, match="larger"):
        files.read(str(big))


def test_another_editors_change_wins(path: Path) -> None:
    before = files.read(str(path))
    path.write_bytes(b"edited")
    with pytest.raises(ChangedMeanwhileError):
        files.replace(before, b"after")
    absent = files.read(str(path.with_name("new.yml")))
    path.with_name("new.yml").write_bytes(b"edited")
    with pytest.raises(ChangedMeanwhileError):
        files.replace(absent, b"after")
    assert path.read_bytes() == b"edited"
    assert names(path.parent) == ["new.yml", "profiles.yml"]


def test_missing_directories_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "profiles.yml"
    files.make_directory(str(path))
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="directory"):
        files.make_directory(str(tmp_path / "file" / "x" / "profiles.yml"))


def test_leftovers_of_killed_writers_are_swept_and_nothing_else(path: Path) -> None:
    for name in [
        ".profiles.yml.floe-monitor.12-ab.tmp",
        ".other.yml.floe-monitor.12-ab.tmp",
        ".profiles.yml.swp",
    ]:
        (path.parent / name).touch()
    files.sweep(path)
    assert names(path.parent) == [".other.yml.floe-monitor.12-ab.tmp", ".profiles.yml.swp", "profiles.yml"]


def test_extended_attributes_are_kept(path: Path) -> None:
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    put(path, b"after")
    assert os.getxattr(path, "user.note") == b"kept"


def test_a_new_file_has_its_mode_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "profiles.yml"
    former = os.umask(0o777)
    try:
        files.make_directory(str(path))
        files.replace(files.read(str(path)), b"a: 1\n")
    finally:
        os.umask(former)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]
