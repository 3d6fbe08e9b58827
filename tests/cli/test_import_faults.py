"""What real profiles.yml files hold that dbt accepts or that nobody should trip over."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary77aa"
DUCK = "type: duckdb, path: ':memory:', threads: 1"
POSTGRES = "type: postgres, host: h, port: 5432, user: u, dbname: d, schema: s, threads: 1"
SNOWFLAKE = "type: snowflake, account: acme, user: u, database: d, warehouse: w, schema: s, threads: 1"
BROWSER = f"{SNOWFLAKE}, authenticator: externalbrowser"
KEY = base64.b64encode(b'{"private_key": "-----BEGIN PRIVATE KEY-----\\ncanary77aa"}').decode()

pytestmark = [pytest.mark.gate, pytest.mark.slow]


@pytest.fixture
def write(place: Path) -> Any:
    """A profiles.yml with one profile of these outputs."""

    def outputs(**named: str) -> None:
        lines = "".join(f"    {name}: {{{keys}}}\n" for name, keys in named.items())
        (place / "profiles.yml").write_text(f"shop:\n  target: dev\n  outputs:\n{lines}")

    return outputs


@pytest.fixture
def imported(call: Any) -> Any:
    """The one target of the import, and what was said."""

    def run(code: int = 0) -> tuple[dict[str, Any], Any]:
        said = call("config", "import", "profiles.yml")
        assert said.code == code, said.err
        return yaml.safe_load(said.out)["targets"].get("dev"), said

    return run


@pytest.mark.parametrize(
    ("keys", "variable"),
    [
        (f"{POSTGRES}, password: {CANARY}", "DBT_ENV_SECRET_DEV_PASSWORD"),
        (
            f"{DUCK}, secrets: [{{type: s3, secret: \"{{{{ env_var('S3_SECRET', '{CANARY}') }}}}\"}}]",
            "S3_SECRET",
        ),
        (
            f"{DUCK}, attach: [{{path: \"postgresql://u:{CANARY}@{{{{ env_var('H') }}}}/db\", alias: a}}]",
            "DBT_ENV_SECRET_DEV_ATTACH_0_PATH",
        ),
        (
            f"{DUCK}, attach: [{{path: \"postgresql://u:{{{{ env_var('P', '{CANARY}') }}}}@h/db\"}}]",
            "DBT_ENV_SECRET_DEV_ATTACH_0_PATH",
        ),
        (f"{POSTGRES}, password: \"{CANARY}{{{{ env_var('A') }}}}\"", "DBT_ENV_SECRET_DEV_PASSWORD"),
        (f"{SNOWFLAKE}, private_key: {KEY}", "DBT_ENV_SECRET_DEV_PRIVATE_KEY"),
        (
            f"{DUCK}, plugins: [{{module: x, config: {{file: {KEY}}}}}]",
            "DBT_ENV_SECRET_DEV_PLUGINS_0_CONFIG_FILE",
        ),
    ],
)
def test_a_secret_reaches_nothing_and_its_variable_is_named(
    call: Any, write: Any, place: Path, keys: str, variable: str
) -> None:
    write(dev=keys)
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == 0, said.err
    made = (place / "floe-monitor.yaml").read_text()
    for secret in (CANARY, KEY):
        assert secret not in said.out + said.err + made
    assert f"\n  {variable}\n" in said.err
    assert variable in yaml.safe_dump(yaml.safe_load(made)["targets"])
    said = call("config", "check")
    assert said.code == 0, said.err
    said = call("profiles", "write")
    assert said.code == 1
    assert variable in said.err
    assert CANARY not in said.out + said.err


def test_a_variable_is_not_made_up_that_the_file_uses_already(write: Any, imported: Any) -> None:
    write(
        dev=f"{POSTGRES}, password: {CANARY}",
        b=f"{DUCK}, schema: \"{{{{ env_var('DBT_ENV_SECRET_DEV_PASSWORD', 'x') }}}}\"",
    )
    target, said = imported(code=0)
    assert target["credentials"] == {"password": {"env": "DBT_ENV_SECRET_DEV_PASSWORD_"}}
    assert "\n  DBT_ENV_SECRET_DEV_PASSWORD_\n" in said.err


def test_the_secret_of_an_output_that_is_not_carried_over_asks_for_no_variable(
    write: Any, imported: Any
) -> None:
    write(dev=f"{BROWSER}, password: {CANARY}")
    _, said = imported(code=1)
    assert "DBT_ENV_SECRET" not in said.out + said.err


@pytest.mark.parametrize(
    "text",
    [
        f"shop:\n  outputs:\n    dev:\n      password: *{CANARY}\n",
        f"shop:\n  outputs:\n    dev:\n      password: !{CANARY} x\n",
        f"shop: {{outputs: {{dev: {{password: '{CANARY}}}}}}}\n",
        f"shop: [{CANARY}\n",
        f"%{CANARY}\nshop: 1\n",
        f"shop: &{CANARY} 1\n? [a]\n: {CANARY}\n",
        f"- {CANARY}\n",
        f"{CANARY}\n",
        f"shop: {{outputs: {{dev: {{type: duckdb, password: 2024-13-45}}}}}}\n--- {CANARY}\n",
        f"shop: {{outputs: {{dev: {{type: duckdb, password: !!int {CANARY}}}}}}}\n",
        f"shop: {{target: <<, outputs: {{dev: {{type: duckdb, password: {CANARY}}}}}}}\n",
        f"shop: {{outputs: {{dev: {{type: duckdb, schema: 2024-13-45, password: {CANARY}}}}}}}\n",
    ],
)
def test_what_is_no_profiles_yml_is_told_without_its_words(call: Any, place: Path, text: str) -> None:
    (place / "profiles.yml").write_text(text)
    for words in (("config", "import", "profiles.yml"), ("check", "--profiles", "profiles.yml")):
        said = call(*words)
        assert said.code == 2, said
        assert "profiles.yml" in said.err
        assert CANARY not in said.out + said.err


ALIASES = "x: &a0 [z,z,z,z,z,z,z,z,z]\n" + "".join(
    f"x{n}: &a{n} [{','.join(f'*a{n - 1}' for _ in range(9))}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        ALIASES + "shop: {outputs: {dev: {type: duckdb, settings: {a: *a8}}}}\n",
        "shop: {outputs: {dev: {type: duckdb, settings: &s {a: *s}}}}\n",
        "shop: {outputs: " + "[" * 5000 + "]" * 5000 + "}\n",
        "shop: {outputs: {dev: {type: duckdb, a: " + "x" * 600_000 + "}}}\n",
        "shop: {outputs: {dev: {type: duckdb, a: [" + "\"{{ env_var('A') }}\"," * 1001 + "]}}}\n",
        "shop: {outputs: {" + "".join(f"a{n}: {{type: duckdb}}," for n in range(501)) + "}}\n",
    ],
)
def test_bounds(call: Any, place: Path, text: str) -> None:
    (place / "profiles.yml").write_text(text)
    for words in (("config", "import", "profiles.yml"), ("check", "--profiles", "profiles.yml")):
        began = time.process_time()
        assert call(*words).code == 2
        assert time.process_time() - began < 5, "of the processor: the machine may be busy"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (f"{DUCK}, schema: 2024-01-01", "schema is a date or a number to YAML: put it in quotes"),
        (f"{DUCK}, schema: 12:30", "schema is a date or a number to YAML"),
        (f"{DUCK}, schema: {'9' * 50}", "schema is a date or a number to YAML"),
        (f"{DUCK}, 2024-01-01: x", "it has a key that is no text"),
        (f"{DUCK}, 1: x", "it has a key that is no text"),
        ("type: duckdb, threads: four", "threads is no whole number"),
        ("type: duckdb, threads: .inf", "threads is no whole number"),
        ("type: duckdb, threads: [1]", "threads is no whole number"),
        ("type: \"{{ env_var('FLOE_NO_SUCH') }}\"", "type: environment variable FLOE_NO_SUCH is not set"),
        ("type: duckdb, threads: \"{{ env_var('PATH').x }}\"", "threads: the expression over PATH comes to"),
        ("type: \"{{ env_var('PATH').__init__ }}\"", "type: the expression over PATH comes to"),
        ("type: exasol, method: \"{{ env_var('FLOE_NO_SUCH') }}\"", "no plugin 'exasol' is installed"),
        (f"{POSTGRES}, password: '', keepalives_idle: ''", "keepalives_idle: must be a whole number"),
        ("type: duckdb, path: ''", "path: must not be empty"),
        (
            "type: bigquery, method: service-account-json, project: p, dataset: d, keyfile_json: x",
            "keyfile_json is a mapping of the key file's fields: dbt-bigquery refuses and prints a text",
        ),
        ("type: [duckdb]", "it has no type"),
        ("path: x", "it has no type"),
        (f"{DUCK}, remote: {{host: x}}", "remote: dbt then uses another process' DuckDB"),
        (f"{POSTGRES}, password: [{CANARY}]", "password is no plain"),
        (f"{POSTGRES}, sslmode: {CANARY}", "sslmode: "),
        (f"{DUCK}, settings: {{memory_limit: .nan}}", "settings.memory_limit is a float"),
        (BROWSER, "authenticator: refused: it opens a browser"),
    ],
)
def test_an_output_that_is_no_target_is_named_and_the_rest_is_imported(
    call: Any, write: Any, place: Path, keys: str, reason: str
) -> None:
    write(dev=keys, ok=DUCK)
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == 1
    assert f"not carried over: profile shop, output dev: {reason}" in said.err
    assert CANARY not in said.out + said.err
    assert call("config", "check").code == 0
    assert list(yaml.safe_load((place / "floe-monitor.yaml").read_text())["targets"]) == ["ok"]


@pytest.mark.parametrize("name", ["", f"x://u:{CANARY}@h", f"password={CANARY}"])
def test_a_profile_that_no_configuration_can_name(call: Any, place: Path, name: str) -> None:
    profiles = {
        name: {"outputs": {"dev": {"type": "duckdb"}}},
        "shop": {"outputs": {"ok": {"type": "duckdb"}}},
    }
    (place / "profiles.yml").write_text(yaml.safe_dump(profiles, sort_keys=False))
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == 1
    assert "not carried over: profile " in said.err
    assert "give it another" in said.err
    assert CANARY not in said.out + said.err + (place / "floe-monitor.yaml").read_text()
    assert call("config", "check").code == 0
    assert call("profiles", "diff").code == 0


def test_names_that_are_no_text(call: Any, place: Path) -> None:
    (place / "profiles.yml").write_text(
        f"2024: {{outputs: {{dev: {{{DUCK}}}}}}}\nshop: {{outputs: {{1: {{{DUCK}}}, dev: {{{DUCK}}}}}}}\n"
        "gone: {outputs: }\nheld: &h {type: duckdb}\n"
    )
    said = call("config", "import", "profiles.yml")
    assert said.code == 1
    assert "profile 2024: its name is no text" in said.err
    assert "profile shop, output 1: its name is no text" in said.err
    assert "profile gone: it has no outputs" in said.err
    assert "'held' is no profile" in said.err
    assert list(yaml.safe_load(said.out)["targets"]) == ["dev"]


def test_what_the_monitor_has_no_use_for_stays_in_the_profile_and_is_named(write: Any, imported: Any) -> None:
    write(
        dev=f"{POSTGRES}, password: \"{{{{ env_var('PW', '') }}}}\", role: '', search_path: '', colour: blue"
    )
    target, said = imported()
    assert target["output_keys"] == {
        "password": "{{ env_var('PW', '') }}", "role": "", "search_path": "", "colour": "blue",
    }  # fmt: skip
    assert target["credentials"] == {"password": {"env": "PW"}}
    assert "password: the monitor needs PW to be set" in said.err
    assert "colour, role, search_path: not for the monitor; kept in the profile as it is" in said.err


def test_a_key_that_bigquery_ignores_does_not_cost_the_output(write: Any, imported: Any) -> None:
    write(dev="type: bigquery, method: oauth, project: p, dataset: d, fixed_retries: 1, labels: {team: x}")
    target, said = imported()
    assert target["output_keys"] == {"fixed_retries": 1, "labels": {"team": "x"}}
    assert "fixed_retries, labels: not for the monitor" in said.err


@pytest.mark.parametrize(
    ("threads", "taken"),
    [
        ("100", 64),
        ("0", 1),
        ("\"{{ env_var('T', '4') | int }}\"", 4),
        ("\"{{ env_var('T', 8) }}\"", 8),
        ("'3'", 3),
    ],
)
def test_threads_stay_as_they_are_in_the_profile(write: Any, imported: Any, threads: str, taken: int) -> None:
    write(dev=f"type: duckdb, path: ':memory:', threads: {threads}")
    target, _ = imported()
    assert target["threads"] == taken
    assert target["output_keys"] == {"threads": yaml.safe_load(threads)}


def test_a_key_given_twice_is_told_and_the_last_is_taken(write: Any, imported: Any, place: Path) -> None:
    text = f"shop:\n  outputs:\n    dev: {{{DUCK}, schema: one}}\n    dev: {{{DUCK}, schema: two}}\n"
    (place / "profiles.yml").write_text(text)
    target, said = imported()
    assert target["connection"]["schema"] == "two"
    assert "line 4: the key 'dev' is given twice; dbt takes the last" in said.err


@pytest.mark.parametrize(("key", "set_one"), [("password", "PW"), ("private_key_path", "KEY")])
def test_the_way_to_log_in_is_the_one_whose_variable_is_set(
    write: Any, imported: Any, monkeypatch: pytest.MonkeyPatch, key: str, set_one: str
) -> None:
    monkeypatch.setenv(set_one, "/x")
    logins = {"password": "{{ env_var('PW', '') }}", "private_key_path": "{{ env_var('KEY', '') }}"}
    write(dev=SNOWFLAKE + "".join(f', {name}: "{text}"' for name, text in logins.items()))
    target, said = imported()
    ((other, text),) = {name: text for name, text in logins.items() if name != key}.items()
    assert target["output_keys"][other] == text
    assert key in {**target["connection"], **target.get("credentials", {})}
    assert f"{other}: nothing now, and so left out for the monitor" in said.err
    assert ("needs PW to be set" in said.err) == (key == "password")


# ---------------------------------------------------------------- check --profiles


def checked(call: Any, *words: str) -> tuple[int, dict[str, Any]]:
    said = call("check", "--profiles", "profiles.yml", *words, "--format", "json")
    assert CANARY not in said.out + said.err
    report = json.loads(said.out)
    assert report["ok"] is (said.code == 0)
    return said.code, report


def test_a_refused_output_is_said_and_stops_nobody(call: Any, write: Any) -> None:
    write(dev=DUCK, ext=BROWSER, old="type: sqlserver")
    code, report = checked(call)
    assert code == 0
    assert [each["target"] for each in report["results"]] == ["dev"]
    assert [(each["profile"], each["output"]) for each in report["not_checked"]] == [
        ("shop", "ext"),
        ("shop", "old"),
    ]
    assert "opens a browser" in report["not_checked"][0]["reason"]
    assert checked(call, "--strict")[0] == 1
    said = call("check", "--profiles", "profiles.yml")
    assert said.code == 0
    assert "not checked: profile shop, output ext: authenticator: refused" in said.out


def test_an_expression_that_comes_to_nothing_is_unset_as_it_is_for_dbt(
    call: Any, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", CANARY)
    nothing = "\"{{ env_var('FLOE_NO_SUCH', '') }}\""
    blank = "".join(f", {key}: {nothing}" for key in ("role", "search_path", "sslmode", "sslrootcert"))
    keys = "type: postgres, host: 127.0.0.1, port: 1, user: u, dbname: d, schema: s"
    write(dev=f"{keys}, password: \"{{{{ env_var('PW') }}}}\"{blank}", bad=f"{keys}, retries: {nothing}")
    _, report = checked(call)
    found = {each["target"]: each["error_type"] for each in report["results"]}
    assert found == {"dev": "connection", "bad": "configuration"}, "nobody listens; an integer is no blank"


def test_what_is_named_counts_alone(call: Any, write: Any) -> None:
    write(dev=DUCK, ext=BROWSER)
    code, report = checked(call, "dev", "--strict")
    assert (code, report["not_checked"]) == (0, [])
    code, report = checked(call, "ext")
    assert (code, report["results"], len(report["not_checked"])) == (1, [], 1)
    assert call("check", "--profiles", "profiles.yml", "prod").code == 2


def test_nothing_checked_is_not_well(call: Any, write: Any) -> None:
    write(dev=BROWSER)
    code, report = checked(call)
    assert (code, report["results"]) == (1, [])
    said = call("check", "--profiles", "profiles.yml")
    assert said.code == 1
    assert said.out.startswith("not checked: profile shop, output dev")


def test_a_configuration_has_nothing_that_is_not_checked(call: Any, configure: Any) -> None:
    configure({"dev": {"plugin": "duckdb"}})
    said = call("check", "--format", "json")
    assert "not_checked" not in json.loads(said.out)


@pytest.mark.parametrize("default", ["ext", "gone", "[dev]", "1"])
def test_a_default_that_is_no_target_stays(call: Any, place: Path, default: str) -> None:
    text = f"shop: {{target: {default}, outputs: {{dev: {{{DUCK}}}, ext: {{type: sqlserver}}}}}}\n"
    (place / "profiles.yml").write_text(text)
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == 1
    assert "target" not in yaml.safe_load((place / "floe-monitor.yaml").read_text())["profiles"][0]
    assert "is no output of this configuration; profiles.yml keeps it" in said.err
    assert call("profiles", "diff").out == ""
    assert call("profiles", "write").code == 0
    assert (place / "profiles.yml").read_text() == text


def test_a_secret_in_the_place_of_a_name_is_not_repeated(call: Any, place: Path) -> None:
    url = f"postgres://u:{CANARY}@h/d"
    text = f"'{url}': {{a: 1, 'password={CANARY}': 2, 'password={CANARY}': 2}}\n"
    text += f"shop: {{target: '{url}', outputs: {{dev: {{{DUCK}}}, b: {{type: '{url}'}}, '{url}': 1}}}}\n"
    (place / "profiles.yml").write_text(text)
    for words in (("config", "import", "profiles.yml"), ("check", "--profiles", "profiles.yml")):
        said = call(*words)
        assert said.code in (0, 1)
        assert "its default target 'postgres://u:***@h/d'" in said.err
        head = said.out.split("profiles:")[0] if words[0] == "config" else said.out
        assert CANARY not in head + said.err


def test_names_cannot_write_to_the_terminal_or_the_configuration(call: Any, place: Path) -> None:
    names = ["a\nplugin: x", "\x1b[31mred"]
    outputs = {name: {"type": "duckdb"} for name in names} | {"\x1b]0;x\n#": {"type": "sqlserver"}}
    (place / "profiles.yml").write_text(yaml.safe_dump({"shop": {"target": names[0], "outputs": outputs}}))
    said = call("config", "import", "profiles.yml", "-o", "floe-monitor.yaml")
    assert said.code == 1
    assert "\x1b" not in said.err
    assert call("config", "check").code == 0
    assert call("profiles", "diff").out == ""
    said = call("check", "--profiles", "profiles.yml")
    assert "\x1b" not in said.out + said.err
