"""The record and the copy beside the file, on real files: what they permit, and what their failure costs."""

from __future__ import annotations

import os
import stat
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from floe_monitor.profiles import diff, show, write
from floe_monitor.profiles.copies import MOST_COPIES, copy_path
from floe_monitor.profiles.reconcile import Assignment, Reconciler
from floe_monitor.profiles.record import read_record, record_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.profiles import Outcome

THEIRS = "ours:\n  target: lake\n  outputs:\n    lake: {type: x, password: theirs}  # mine\n"


def run(made: Any, *names: str, **profile: Any) -> Outcome:
    (done,) = write([made.profile(**profile)], made.targets(*map(made.target, names)), {})
    outcome: Outcome = done.outcome
    return outcome


def outputs(made: Any) -> list[str]:
    return list(yaml.safe_load(made.path.read_text())["ours"]["outputs"])


def fill(path: Path) -> None:
    """Take all the space that is left on its file system."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_the_monitor_wrote_goes_once_it_is_configured_no_more(made: Any) -> None:
    assert run(made, "a", "b").result == "written"
    assert run(made, "a").result == "written"
    assert outputs(made) == ["a"]
    assert not copy_path(made.path).exists(), "the monitor made the file"


def test_what_it_did_not_write_stays_and_is_no_difference(made: Any) -> None:
    made.path.write_text(THEIRS)
    targets = made.targets(made.target("a"))
    assert run(made, "a").result == "written"
    (found,) = diff([made.profile()], targets, {})
    assert (found.text, found.problem) == ("", "")
    assert "not the monitor's: 'lake'" in found.note
    assert "theirs" not in found.note
    shown = show([made.profile()], targets, {})
    assert "'lake'" in shown
    assert "theirs" not in shown
    assert yaml.safe_load(shown)["ours"]["target"] == "lake"
    assert run(made, "a").result == "unchanged"
    assert made.path.read_text().startswith(THEIRS)


def test_a_file_of_a_version_without_records_loses_nothing(made: Any) -> None:
    run(made, "a", "b")
    record_path(made.path).unlink()
    outcome = run(made, "a")
    assert outcome.result == "unchanged"
    assert "'b'" in outcome.message
    assert outputs(made) == ["a", "b"]
    (found,) = diff([made.profile()], made.targets(made.target("a")), {})
    assert found.text == ""


def test_what_somebody_edited_is_theirs(made: Any) -> None:
    run(made, "a", "b", "c")
    made.path.write_text(made.path.read_text().replace("    c:\n", "    c: # mine\n"))
    assert run(made, "a").result == "written"
    assert outputs(made) == ["a", "c"]


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"version": 2, "profiles": {}}'),
        lambda path: path.write_text(path.read_text().replace('"a": "', '"a": "z')),
        lambda path: path.write_text('{"version": 1, "profiles": {"ours": {"target": 1, "outputs": {}}}}'),
        become_directory,
        become_fifo,
        become_link,
    ],
)
def test_a_record_that_cannot_be_believed_removes_nothing_and_says_so(
    made: Any, spoil: Callable[[Path], object]
) -> None:
    run(made, "a", "b")
    spoil(record_path(made.path))
    for names in (["a"], ["a", "d"]):
        outcome = run(made, *names)
        assert outcome.result in ("unchanged", "written")
        assert ".profiles.yml.floe-monitor.record.json counts for nothing: " in outcome.message
        assert "nothing is removed" in outcome.message
        if record_path(made.path).is_dir() and outcome.result == "written":
            assert "the record .profiles.yml.floe-monitor.record.json cannot be written: " in outcome.message
    assert outputs(made) == ["a", "b", "d"]


def test_a_torn_record_begins_anew_with_the_next_write(made: Any) -> None:
    run(made, "a", "b")
    record_path(made.path).write_text("{")
    run(made, "a", "c")
    assert set(read_record(made.path).profiles["ours"].outputs) == {"a", "c"}
    assert run(made, "a").result == "written"
    assert outputs(made) == ["a", "b"]


@pytest.mark.process
def test_a_record_that_cannot_be_written_removes_nothing_and_says_so(tmp_path: Path, made: Any) -> None:
    # The record's bytes no longer fit on the disk; the file's do.
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=12", "none", str(small)]
    if subprocess.run(command, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("mounting needs root and CAP_SYS_ADMIN")
    try:
        made.path = small / "profiles.yml"
        run(made, "a", "b")
        fill(small / "filler")
        outcome = run(made, "a")
        assert "record.json cannot be written: no space is left; nothing is removed" in outcome.message
        assert outputs(made) == ["a", "b"]
        (small / "filler").unlink()
        assert run(made, "a").result == "written"
        assert outputs(made) == ["a"]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True, timeout=20)


def test_a_writer_that_died_between_file_and_record_claims_too_little(made: Any) -> None:
    run(made, "a", "b")
    before = record_path(made.path).read_bytes()
    run(made, "a", "c")
    record_path(made.path).write_bytes(before)
    run(made, "a")
    assert outputs(made) == ["a", "c"]


def test_other_profiles_keep_their_entries(made: Any) -> None:
    run(made, "a", "b")
    run(made, "x", name="second")
    assert set(read_record(made.path).profiles) == {"ours", "second"}
    assert run(made, "a").result == "written"
    assert outputs(made) == ["a"]


def test_prune_makes_the_profile_the_configurations_alone(made: Any) -> None:
    made.path.write_text(THEIRS.replace("  outputs", "  threads: 7\n  outputs"))
    before = made.path.read_text()
    outcome = run(made, "a", prune=True)
    assert outcome.result == "written"
    assert yaml.safe_load(made.path.read_text())["ours"] == {
        "target": "a",
        "outputs": {"a": {"type": "plain", "threads": 4}},
    }
    assert outcome.copy is not None
    assert outcome.copy.read_text() == before


def test_copy_and_record_are_never_more_readable_than_the_file(made: Any) -> None:
    made.path.write_bytes(b"\xef\xbb\xbf" + THEIRS.encode().replace(b"\n", b"\r\n"))
    made.path.chmod(0o640)
    before = made.path.read_bytes()
    outcome = run(made, "a")
    assert outcome.copy == copy_path(made.path) == made.path.with_name("profiles.yml.before-floe-monitor")
    assert outcome.copy.read_bytes() == before
    assert mode(outcome.copy) == mode(made.path) == mode(record_path(made.path)) == 0o640
    assert run(made, "a", "b").copy is None, "before the first write alone"
    made.path.write_text(made.path.read_text().replace("plain", "drift"))
    made.path.chmod(0o400)
    assert run(made, "a", "b").result == "written"
    assert mode(record_path(made.path)) == 0o400, "though its content is the same"
    new = made.path.with_name("new.yml")
    run(made, "a", path=str(new))
    assert mode(new) == mode(record_path(new)) == 0o600


def test_an_earlier_copy_is_never_overwritten(made: Any) -> None:
    copy_path(made.path).symlink_to("nowhere")
    copy_path(made.path, 2).write_text("older")
    made.path.write_text(THEIRS)
    assert run(made, "a").copy == copy_path(made.path, 3)
    assert copy_path(made.path, 2).read_text() == "older"
    assert not made.path.with_name("nowhere").exists()
    assert copy_path(made.path, 3).read_text() == THEIRS


def test_the_same_file_again_needs_no_second_copy(made: Any) -> None:
    made.path.write_text(THEIRS)
    run(made, "a")
    made.path.write_text(THEIRS)
    record_path(made.path).unlink()
    assert run(made, "a").copy is None
    assert not copy_path(made.path, 2).exists()


def test_without_a_copy_nothing_is_written_and_the_reason_is_said(made: Any) -> None:
    made.path.write_text(THEIRS)
    for number in range(1, MOST_COPIES + 1):
        copy_path(made.path, number).write_text("older")
    outcome = run(made, "a")
    assert outcome.result == "refused"
    assert "not written, since no copy of it can be kept: 9 stand beside it" in outcome.message
    assert made.path.read_text() == THEIRS
    assert not record_path(made.path).exists()


@pytest.mark.process
def test_a_read_only_directory_refuses_before_anything_is_written(tmp_path: Path, made: Any) -> None:
    inner = tmp_path / "ro"
    inner.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(inner)]
    if subprocess.run(command, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("mounting needs root and CAP_SYS_ADMIN")
    try:
        made.path = inner / "profiles.yml"
        made.path.write_text(THEIRS)
        subprocess.run(["mount", "-o", "remount,ro", str(inner)], check=True, timeout=20)
        outcome = run(made, "a")
        assert outcome.result == "refused"
        assert "no copy of it can be kept: the file system is read-only" in outcome.message
        assert [entry.name for entry in inner.iterdir()] == ["profiles.yml"]
    finally:
        subprocess.run(["umount", "-l", str(inner)], check=True, timeout=20)


def test_an_output_written_by_hand_later_is_copied_before_it_is_adopted(made: Any) -> None:
    run(made, "a")
    made.path.write_text(made.path.read_text() + "    b: {type: hand}\n")
    before = made.path.read_text()
    outcome = run(made, "a", "b")
    assert outcome.copy is not None
    assert outcome.copy.read_text() == before
    made.path.write_text(made.path.read_text().replace("plain", "drift"))
    assert run(made, "a", "b").copy is None, "drift of what it wrote is put back"


def test_behind_a_link_all_of_it_stands_beside_the_real_file(made: Any, tmp_path: Path) -> None:
    real = tmp_path / "real" / "p.yml"
    real.parent.mkdir()
    real.write_text(THEIRS)
    made.path.symlink_to("real/p.yml")
    run(made, "a")
    assert made.path.is_symlink()
    assert sorted(entry.name for entry in real.parent.iterdir()) == [
        ".p.yml.floe-monitor.record.json",
        "p.yml",
        "p.yml.before-floe-monitor",
    ]


def test_an_empty_file_is_not_worth_a_copy(made: Any) -> None:
    made.path.write_text("\n")
    assert run(made, "a").copy is None
    assert read_record(made.path).usable


def test_a_daemon_needs_no_copy_of_what_it_wrote_itself(made: Any) -> None:
    record_path(made.path).mkdir()
    reconciler = Reconciler(made.publish, {}, owns=True)
    for number in range(MOST_COPIES + 3):
        targets = made.targets(made.target("a", threads=number + 1))
        assert reconciler.run(Assignment(made.profile(), targets)).result == "written"
    assert not copy_path(made.path).exists()
    reconciler.release()


def test_of_two_outputs_with_one_name_none_is_lost(made: Any) -> None:
    text = "ours:\n  outputs:\n    a: {type: one}\n    a: {type: two}\n"
    made.path.write_text(text)
    outcome = run(made, "b")
    assert (outcome.result, outcome.message) == (
        "refused", "output 'a' is there more than once: lines 3 and 4",
    )  # fmt: skip
    assert made.path.read_text() == text
    assert not copy_path(made.path).exists()
