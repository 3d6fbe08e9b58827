from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
      type: redshift
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
    assert said.code == 1, "redshift and an unknown key could not be carried over"
    assert "canary" not in said.out + said.err
    made = yaml.safe_load(said.out)
    assert list(made["targets"]) == ["dev", "lake", "odd_name"]
    assert made["targets"]["dev"]["plugin"] == "duckdb"
    assert made["targets"]["dev"]["threads"] == 2
    assert made["profiles"][0] == {
        "name": "jaffle", "path": "profiles.yml", "target": "dev", "targets": ["dev", "lake"],
    }  # fmt: skip
    assert "profile jaffle, output prod" in said.err
    assert "profile other, output dev" in said.err
    assert "token_x" in said.err
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
