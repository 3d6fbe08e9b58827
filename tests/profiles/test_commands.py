"""What `profiles show|diff|write` print and do."""

from __future__ import annotations

from typing import Any

import yaml

from floe_monitor.profiles import diff, merge, show, write
from floe_monitor.profiles.files import marked
from floe_monitor.profiles.locks import owner_lock
from floe_monitor.profiles.reconcile import Assignment, Reconciler

CANARY = "canary-55aa"


def test_show_needs_no_file_and_names_what_is_missing(made: Any) -> None:
    targets = made.targets(
        made.target("a", credentials={"password": {"env": "PW"}}), made.target("b", problem="gone")
    )
    text = show([made.profile()], targets, {"PW": CANARY})
    assert yaml.safe_load(text)["ours"]["outputs"]["a"]["password"] == "{{ env_var('PW') }}"
    assert "# output 'b': gone" in text
    assert CANARY not in text
    assert not made.path.exists()


def test_diff_shows_our_lines_alone_and_no_secret(made: Any) -> None:
    made.path.write_text(
        f"shop: {{password: {CANARY}-foreign}}  # {CANARY}\n"
        f"ours:\n  target: old # {CANARY}\n  outputs:\n    dev:\n      type: plain\n      threads: 4\n"
        f"      password: {CANARY}\n      dsn: postgres://me:{CANARY}@host/db\n"
        f"      args: 'password={CANARY} x=1'\n"
        f"      secrets: [{{secret: {CANARY}, type: s3}}]\n"
        f"zoo: {CANARY}\n"
    )
    targets = made.targets(made.target(credentials={"password": {"env": "PW"}}, connection={"path": "x"}))
    (found,) = diff([made.profile(target="dev")], targets, {})
    assert CANARY not in found.text
    assert "shop" not in found.text
    assert "zoo" not in found.text
    assert "-  target: old" in found.text
    assert "+  target: dev" in found.text
    assert "+      password: " in found.text
    assert "env_var('PW')" in found.text
    assert "-      dsn: '***'" in found.text
    assert "      threads: 4" in found.text
    assert "output 'dev', password: PW" in found.problem, "the variable is not set"
    (done,) = write([made.profile()], targets, {"PW": CANARY})
    assert done.outcome.result == "written"
    assert done.owner is None
    assert diff([made.profile()], targets, {})[0].text == ""
    assert made.path.read_text().startswith("shop")


def test_diff_of_a_new_file_is_all_of_ours(made: Any) -> None:
    (found,) = diff([made.profile()], made.targets(made.target()), {})
    assert found.text.startswith(f"--- {made.path}\n+++ {made.path} (configuration)\n")
    assert "+ours:\n" in found.text


def test_a_refusal_is_a_problem_and_quotes_nothing(made: Any) -> None:
    made.path.write_text(f"ours: !{CANARY} x\n")
    (found,) = diff([made.profile()], made.targets(made.target()), {})
    assert "line 1" in found.problem
    (done,) = write([made.profile()], made.targets(made.target()), {})
    assert done.outcome.result == "refused"
    assert CANARY not in found.problem + done.outcome.message


def test_not_utf8_is_refused_with_its_line(made: Any) -> None:
    made.path.write_bytes(b"a: 1\nb: \xff\n")
    (done,) = write([made.profile()], made.targets(made.target()), {})
    assert done.outcome == type(done.outcome)("refused", "line 2: the existing file is not UTF-8")


def test_writing_tells_who_keeps_the_profile(made: Any) -> None:
    lock = owner_lock(made.path, "ours")
    lock.acquire()
    try:
        (done,) = write([made.profile()], made.targets(made.target()), {})
    finally:
        lock.release()
    assert done.outcome.result == "written"
    assert done.owner is not None
    assert "process" in done.owner


def test_a_plugin_that_writes_the_credential_down_is_refused(made: Any, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text(CANARY + "-file\n")
    leaks = {"env": CANARY + "-env", "file": CANARY + "-file", "nested": CANARY + "-nested"}
    for kind, value in leaks.items():

        def generate(config: Any, value: str = value) -> Any:
            return {"type": "plain", "innocent": f"x {value}"}

        target = made.target(
            generate=generate,
            credentials={"password": {"env": "PW"}, "key": {"file": str(tmp_path / "secret")}},
            connection={"secrets": [{"key": {"env": "NESTED"}}], "token": "{{ env_var('TOKEN') }}"},
        )
        environ = {"PW": leaks["env"], "NESTED": leaks["nested"], "TOKEN": "other"}
        (done,) = write([made.profile()], made.targets(target), environ)
        assert done.outcome.result == "failed", kind
        assert "innocent would hold a credential" in done.outcome.message
        assert CANARY not in done.outcome.message
        assert not made.path.exists()


def test_where_no_lock_can_be_had_it_is_kept_all_the_same_and_said(made: Any) -> None:
    owner = owner_lock(made.path, "ours").path
    for lock in (owner, marked(made.path, "lock")):
        lock.symlink_to("elsewhere")  # never followed
    reconciler = Reconciler(made.publish, {}, owns=True)
    assignment = Assignment(made.profile(), made.targets(made.target()))
    outcomes = [reconciler.run(assignment), reconciler.run(assignment)]
    assert [outcome.result for outcome in outcomes] == ["written", "unchanged"]
    assert all("kept without a lock" in outcome.message for outcome in outcomes)
    assert not made.path.with_name("elsewhere").exists()


def test_a_file_is_read_once_for_all_its_profiles(made: Any) -> None:
    made.path.write_text(
        "".join(f"p{n}:\n  outputs:\n    dev: {{type: plain, threads: 4}}\n" for n in range(20))
    )
    targets = made.targets(made.target(connection={}))
    before = merge._parsed.cache_info().misses
    found = diff([made.profile(f"p{n}") for n in range(20)], targets, {})
    assert [each.text + each.problem for each in found] == [""] * 20
    assert merge._parsed.cache_info().misses == before + 1


def test_diff_shows_no_secret_of_an_output_that_stays(made: Any) -> None:
    made.path.write_text(
        f"ours:\n  target: dev\n  outputs:\n    dev: {{type: plain, threads: 4, password: {CANARY}}}\n"
        f"    theirs: {{type: other, password: {CANARY}, dsn: 'x://u:{CANARY}@h'}}\n  token: {CANARY}\n"
    )
    targets = made.targets(made.target(credentials={"password": {"env": "PW"}}, connection={}))
    (found,) = diff([made.profile()], targets, {"PW": "x"})
    assert "+      password: \"{{ env_var('PW') }}\"" in found.text
    assert "theirs" in found.text, "within the lines around"
    assert CANARY not in found.text
