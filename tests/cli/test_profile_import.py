from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = """
config: {send_anonymous_usage_stats: false}
jaffle:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: ':memory:'
      threads: 2
    lake:
      type: duckdb
      path: ':memory:'
      secrets:
        - {type: s3, name: store, key_id: AKIA, secret: canary-literal, region: eu}
    prod:
      type: sqlserver
      account: a
      password: canary-password
other:
  target: dev
  outputs:
    dev: {type: duckdb, path: other.duckdb, token_x: 1}
    "odd name": {type: duckdb, path: "{{ env_var('DB', 'x.duckdb') }}"}
"""


def test_profiles_become_a_configuration(call: Any, place: Path) -> None:
    (place / "profiles.yml").write_text(PROFILES)
    said = call("config", "import", "profiles.yml")
    assert said.code == 1, "sqlserver could not be carried over"
    assert "canary" not in said.out + said.err
    made = yaml.safe_load(said.out)
    assert list(made["targets"]) == ["dev", "lake", "other-dev", "odd_name"]
    assert made["targets"]["dev"]["plugin"] == "duckdb"
    assert made["targets"]["dev"]["threads"] == 2
    assert made["profiles"][0] == {
        "name": "jaffle", "path": "profiles.yml", "target": "dev", "targets": ["dev", "lake"],
    }  # fmt: skip
    assert "profile jaffle, output prod" in said.err
    assert "profile other, output dev: token_x: not for the monitor; kept in the profile as it is" in said.err
    assert made["targets"]["other-dev"]["output"] == "dev"
    assert made["targets"]["other-dev"]["output_keys"] == {"token_x": 1}
    assert "odd_name" in said.err
    assert "DBT_ENV_SECRET_LAKE_SECRETS_0_SECRET" in said.err
    assert made["targets"]["odd_name"]["connection"]["path"] == "{{ env_var('DB', 'x.duckdb') }}"


def test_what_is_imported_is_a_valid_configuration_for_the_same_profile(call: Any, place: Path) -> None:
    (place / "profiles.yml").write_text(PROFILES)
    assert (
        call("config", "import", "profiles.yml", "--profile", "jaffle", "-o", "floe-monitor.yaml").code == 1
    )
    assert call("config", "check").code == 0
    assert call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml").code == 2
    written = yaml.safe_load(call("profiles", "show").out)["jaffle"]["outputs"]["dev"]
    assert written == yaml.safe_load(PROFILES)["jaffle"]["outputs"]["dev"]


def test_profiles_can_be_checked_as_they_are(call: Any, place: Path) -> None:
    (place / "profiles.yml").write_text(PROFILES.replace("    lake:", "    broken:").split("    broken:")[0])
    said = call("check", "--profiles", "profiles.yml")
    assert said.code == 0, said
    assert "dev" in said.out


def test_files_that_are_no_profiles(call: Any, place: Path) -> None:
    said = call("config", "import", "gone.yml")
    assert said.code == 2
    assert "cannot read gone.yml: no such file" in said.err
    (place / "bad.yml").write_text("a: [1,\nb: {")
    said = call("config", "import", "bad.yml")
    assert said.code == 2
    assert "bad.yml:" in said.err
    (place / "list.yml").write_text("- 1")
    assert call("config", "import", "list.yml").code == 2
    (place / "p.yml").write_text(PROFILES)
    said = call("config", "import", "p.yml", "--profile", "jafle")
    assert said.code == 2
    assert "did you mean 'jaffle'?" in said.err


PARTIAL = """\
shop:
  target: lake
  outputs:
    dev: {type: duckdb, path: ':memory:', threads: 1}
    lake: {type: databricks, host: h.example.test, http_path: /x, schema: s, token: "{{ env_var('T') }}"}
"""
EXTRA_KEYS = """\
shop:
  target: dev
  query-comment: x
  threads: 7
  outputs:
    dev: {type: duckdb, path: ':memory:', threads: 1}
"""
TARGET_BY_EXPRESSION = """\
shop:
  target: "{{ env_var('DBT_TARGET', 'prod') }}"
  outputs:
    dev: {type: duckdb, path: ':memory:', threads: 1}
    prod: {type: duckdb, path: ':memory:', threads: 1, schema: live}
"""
SAME_NAME = """\
a:
  target: dev
  outputs:
    dev: {type: duckdb, path: ':memory:', threads: 1}
b:
  target: dev
  outputs:
    dev: {type: duckdb, path: ':memory:', threads: 1}
"""


ODD_NAMES = """\
shop:
  target: 生产
  outputs:
    生产: {type: duckdb, path: ':memory:', threads: 1}
    'a b': {type: duckdb, path: ':memory:', threads: 1}
    -x: {type: duckdb, path: ':memory:', threads: 1}
"""
NO_TARGET = """\
shop:
  outputs:
    default: {type: duckdb, path: ':memory:', threads: 1}
    other: {type: duckdb, path: ':memory:', threads: 1}
"""


@pytest.mark.parametrize("text", [SAME_NAME, ODD_NAMES, NO_TARGET, TARGET_BY_EXPRESSION])
def test_outputs_keep_the_names_that_dbt_has_for_them(call: Any, place: Path, text: str) -> None:
    (place / "profiles.yml").write_text(text)
    assert call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml").code == 0
    assert call("config", "check").code == 0
    said = call("profiles", "diff")
    assert (said.code, said.out) == (0, "")
    config = place / "floe-monitor.yaml"
    config.write_text(config.read_text().replace("threads: 1", "threads: 3"))
    assert call("profiles", "write").code == 0
    assert (place / "profiles.yml").read_text() == text.replace("threads: 1", "threads: 3")


@pytest.mark.parametrize("text", [PARTIAL, EXTRA_KEYS, TARGET_BY_EXPRESSION, SAME_NAME, PROFILES])
def test_an_import_and_the_write_after_it_lose_nothing(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("DBT_ENV_SECRET_LAKE_SECRETS_0_SECRET", "canary-literal")
    (place / "profiles.yml").write_text(text)
    before = yaml.safe_load(text)
    lost = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml").code == 1
    assert call("profiles", "write").code == 0
    after = (place / "profiles.yml").read_text()
    for name, profile in before.items():
        now = yaml.safe_load(after)[name]
        assert {**now, "outputs": 0} == {**profile, "outputs": 0}, "keys beside the outputs, `target` too"
        assert now.get("outputs", {}).keys() >= profile.get("outputs", {}).keys()
    assert ("What was not carried over stays" in call("config", "import", "profiles.yml").err) == lost
    said = call("profiles", "diff")
    assert (said.code, said.out) == (0, "")
    assert call("profiles", "write").code == 0
    assert (place / "profiles.yml").read_text() == after


def test_the_output_that_was_not_imported_keeps_its_bytes(call: Any, place: Path) -> None:
    (place / "profiles.yml").write_text(PARTIAL)
    assert call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml").code == 1
    assert call("profiles", "write").code == 0
    assert (place / "profiles.yml").read_text() == PARTIAL
    config = place / "floe-monitor.yaml"
    config.write_text(config.read_text().replace("threads: 1", "threads: 3"))
    said = call("profiles", "write")
    assert said.out == (
        "profiles.yml: kept a copy of the file as it was: "
        f"{place.resolve()}/profiles.yml.before-floe-monitor\n"
    )
    assert (place / "profiles.yml").read_text() == PARTIAL.replace("threads: 1", "threads: 3")
    assert (place / "profiles.yml.before-floe-monitor").read_text() == PARTIAL
    assert call("profiles", "write").out == ""
