"""Inputs that once failed, each with its right outcome in every command that reads a profiles.yml.

`config import`, `config check`, `profiles diff` and `profiles write` are run one after another, and
`check --profiles` on the file as it was.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary88bb"
MEMORY = "type: duckdb, path: ':memory:', threads: 1"
NOWHERE = "host: 127.0.0.1, port: 1, user: u, dbname: d, schema: s, threads: 1"
SNOW = "type: snowflake, account: org-acme, user: u, database: d, warehouse: w, schema: s, threads: 1"
ALIASES = "x0: &a0 [y, y, y, y, y, y, y, y, y]\n" + "".join(
    f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@dataclass(frozen=True)
class Case:
    """`imports` and `checks` are exit statuses; `says`, what the import names; `differs`, whether a literal
    secret is to be replaced.
    """

    text: str
    imports: int = 0
    checks: int = 0
    says: str = ""
    differs: bool = False
    unchecked: tuple[str, ...] = ()


def outputs(target: str = "dev", before: str = "", **named: str) -> str:
    lines = "".join(f"    {name}: {{{keys}}}\n" for name, keys in named.items())
    return f"{before}crm:\n  target: {target}\n  outputs:\n{lines}"


CASES = {
    "aliases-explode": Case(
        ALIASES + outputs(dev="type: duckdb, settings: {b: *a8}"), 2, 2, "too many values once its aliases"
    ),
    "anchor-holder": Case(
        f"templates: &t {{{MEMORY}}}\ncrm:\n  target: dev\n  outputs:\n    dev:\n      <<: *t\n",
        says="'templates' is no profile: it has no outputs",
    ),
    "authenticator-and-key": Case(
        outputs(dev=f"{SNOW}, authenticator: snowflake, private_key_path: /nowhere.p8"), checks=1
    ),
    "blank-keys": Case(
        outputs(dev=f"type: postgres, {NOWHERE}, pass: \"{{{{ env_var('NO') }}}}\", role: '', sslmode: ''"),
        checks=1,
        says="role, sslmode: not for the monitor; kept in the profile as it is",
    ),
    "duplicate-keys": Case(
        outputs(dev=f"{MEMORY}, schema: a") + f"    dev: {{{MEMORY}, schema: b}}\n",
        says="line 5: the key 'dev' is given twice; dbt takes the last",
    ),
    "import-ok-check-fails": Case(
        outputs(dev=f"{SNOW}, authenticator: externalbrowser"), 1, 1, "it opens a browser", unchecked=("dev",)
    ),
    "no-threads": Case(outputs(dev="type: duckdb")),
    "one-bad-blocks-all": Case(
        outputs(dev=MEMORY, bi=f"{SNOW}, authenticator: externalbrowser"), 1, 0, "output bi: ",
        unchecked=("bi",),
    ),
    "output-names": Case(
        outputs("開発", **{"開発": MEMORY, "'two words'": MEMORY, "-dash": MEMORY}),
        says="profiles.yml goes on calling it two words",
    ),
    "partial-import-deletes": Case(
        outputs("wh", dev=MEMORY, wh="type: databricks, host: h.example.test, http_path: /p, schema: s"),
        1,
        0,
        "its default target 'wh' is no output of this configuration; profiles.yml keeps it",
        unchecked=("wh",),
    ),
    "password-list": Case(
        outputs(dev=f"type: postgres, {NOWHERE}, password: [{CANARY}]"), 1, 1, "password is no plain",
        unchecked=("dev",),
    ),
    "profile-extra-keys": Case(
        f"crm:\n  target: dev\n  query-comment: c\n  threads: 9\n  outputs:\n    dev: {{{MEMORY}}}\n"
    ),
    "recursive": Case(outputs(dev="type: duckdb, settings: &s {a: *s}"), 2, 2, "contains itself"),
    "same-output-name": Case(
        outputs(dev=MEMORY) + outputs(dev=MEMORY).replace("crm", "erp"),
        says="output dev becomes target erp-dev",
    ),
    "secret-as-default": Case(
        outputs(dev=f"type: postgres, {NOWHERE}, password: \"{{{{ env_var('NO_PG', '{CANARY}') }}}}\""),
        checks=1, says="\n  NO_PG\n", differs=True,
    ),
    "secret-beside-expression": Case(
        outputs(dev=f"{MEMORY}, attach: [{{path: \"x://u:{CANARY}@{{{{ env_var('NO') }}}}/d\", alias: a}}]"),
        checks=1, says="\n  DBT_ENV_SECRET_DEV_ATTACH_0_PATH\n", differs=True,
    ),
    "secret-of-lost-output": Case(
        outputs(dev=f"type: postgres, {NOWHERE}, password: {CANARY}, log_level: x"),
        checks=1, says="log_level: not for the monitor", differs=True,
    ),
    "spark-query-timeout": Case(
        outputs(dev="type: spark, method: thrift, host: 127.0.0.1, schema: s, port: 1"), checks=1
    ),
    "target-env": Case(
        outputs("\"{{ env_var('CRM_TARGET', 'live') }}\"", dev=MEMORY, live=f"{MEMORY}, schema: l")
    ),
    "threads-100": Case(outputs(dev="type: duckdb, threads: 128")),
    "threads-crash": Case(outputs(dev="type: duckdb, threads: \"{{ env_var('NO_T', '2') | int }}\"")),
    "type-env": Case(
        outputs(dev="type: \"{{ env_var('NO_TYPE', 'duckdb') }}\""),
        says="type is an expression: the monitor takes what it comes to now",
    ),
    "unknown-key": Case(outputs(dev=f"{MEMORY}, colour: red"), says="colour: not for the monitor"),
    "yaml-error-echoes": Case(
        f"crm:\n  target: dev\n  outputs:\n    dev:\n      type: postgres\n      password: *{CANARY}\n",
        2, 2, "profiles.yml:6:17: the alias has no anchor before it",
    ),
}  # fmt: skip


@pytest.fixture
def environment() -> Iterator[None]:
    """As it was: `check --profiles` sets the variables that stand for literals, and then its process ends."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("environment")
def test_a_case_has_its_right_outcome(call: Any, place: Path, name: str) -> None:
    case, path = CASES[name], place / "profiles.yml"
    path.write_text(case.text)
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == case.imports, said
    assert case.says in said.err
    told = said.out + said.err
    if case.imports != 2:
        made = (place / "floe-monitor.yaml").read_text()
        after = call("config", "check")
        assert after.code == 0, after
        told += made
        if "profiles: []" not in made:
            differs, written = call("profiles", "diff"), call("profiles", "write")
            assert (differs.code, written.code) == ((1, 1) if case.differs else (0, 0)), differs
            assert bool(differs.out) is case.differs
            told += differs.out + differs.err + written.out + written.err
    assert path.read_text() == case.text, "a literal secret has no other copy; all else stays"

    checked = call("check", "--profiles", "profiles.yml", "--format", "json")
    assert checked.code == case.checks, checked
    if case.checks != 2:
        report = json.loads(checked.out)
        assert report["ok"] is (case.checks == 0)
        assert tuple(each["output"] for each in report["not_checked"]) == case.unchecked
    assert CANARY not in told + checked.out + checked.err
