"""Files, includes and checks, end to end: what is accepted, and what is said about the rest."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floe_monitor.settings import ConfigurationError, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.settings import Settings

    Read = Callable[..., Settings]
    Refused = Callable[..., list[str]]

TARGET = "targets: {dev: {plugin: duckdb}}\n"


def test_the_least_there_is(read: Read) -> None:
    settings = read(TARGET)
    assert settings.targets["dev"].plugin == "duckdb"
    assert settings.probe.interval == 30.0


def test_a_section_left_blank_is_as_if_it_were_not_there(read: Read) -> None:
    assert read("probe:\ntargets:\nprofiles:\n# dev: {}\nhistory: 3\n").history.results == 3


def test_everything_wrong_is_told_at_once_with_its_place(refused: Refused) -> None:
    text = """\
probe: {intervall: 30s, timeout: soon}
history: many
targets:
  dev:
    plugin: duckdb
    probe: {failure_treshold: 2, isolation: fiber}
    credentials: {password: hunter2}
    connection:
      password: hunter2
      dsn: "postgresql://u:hunter2@h/db"
  "bad name": {plugin: duckdb}
  none: {}
profils: []
"""
    problems = refused(text)
    reference, any_way = (
        "write {env: NAME} or {file: PATH}",
        "write {env: NAME}, {file: PATH} or dbt's {{ env_var",
    )
    wanted = [
        "1:9: probe.intervall: unknown key; did you mean 'interval'?",
        "1:25: probe.timeout: 'soon' is not a duration: write 250ms, 30s, 5m, 1h or a number of seconds",
        "2:1: history: must be a whole number, or a mapping",
        "6:13: targets.dev.probe.failure_treshold: unknown key; did you mean 'failure_threshold'?",
        "6:34: targets.dev.probe.isolation: must be 'thread' or 'process'",
        f"7:19: targets.dev.credentials.password: a literal secret is refused; {reference}",
        f"9:7: targets.dev.connection.password: a literal secret is refused; {any_way}",
        f"10:7: targets.dev.connection.dsn: a literal secret inside this value is refused; {any_way}",
        "11:3: targets.bad name: may hold letters, digits, '_', '-' and '.', and starts with one of",
        "12:3: targets.none.plugin: is required",
        "13:1: profils: unknown key; did you mean 'profiles'?",
    ]
    for problem in wanted:
        assert any(found.startswith(f"config.yaml:{problem}") for found in problems), problem
    assert len(problems) == len(wanted)
    assert "hunter2" not in "".join(problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "config.yaml: is empty: it holds no settings"),
        ("# nothing\n", "config.yaml: is empty: it holds no settings"),
        ("- a\n", "config.yaml:1:1: must be a mapping of settings"),
        ("targets: [a]\n", "config.yaml:1:1: targets: must be a mapping"),
        ("targets: {a: duckdb}\n", "config.yaml:1:11: targets.a: must be a mapping"),
        ("profiles: {a: b}\n", "config.yaml:1:1: profiles: must be a list"),
        ("http: {port: 70000}\n", "http.port: must be less than or equal to 65535"),
        ("http: {port: '94.5'}\n", "http.port: must be a whole number"),
        ("http: {host: ''}\n", "config.yaml:1:8: http.host: must not be empty; write 127.0.0.1"),
        ("http: {host: ' '}\n", "http.host: must not be empty; write 127.0.0.1"),
        ("http: {host: '[]'}\n", "http.host: must not be empty; write 127.0.0.1"),
        ("probe: {interval: 0}\n", "probe.interval: must be greater than or equal to 0.001"),
        ("probe: {interval: 1e-300}\n", "probe.interval: must be greater than or equal to 0.001"),
        ("probe: {interval: 1e308}\n", "config.yaml:1:9: probe.interval: is longer than a year"),
        ("probe: {interval: 99999999999d}\n", "probe.interval: is longer than a year"),
        (f"probe: {{interval: {'9' * 400}}}\n", "probe.interval: is not a finite, non-negative duration"),
        (f"probe: {{interval: {'9' * 400}d}}\n", "probe.interval: is not a finite, non-negative duration"),
        ("probe: {timeout: 2d}\n", "probe.timeout: must be less than or equal to 86400"),
        ("targets: {a: {plugin: x, probe: {interval: 1e308}}}\n", "a.probe.interval: is longer than a year"),
        ("targets: {a: {plugin: x, probe: {timeout: 1e18}}}\n", "a.probe.timeout: is longer than a year"),
        ("shutdown_grace: 1e300\n", "config.yaml:1:1: shutdown_grace: is longer than a year"),
        ("shutdown_grace: 8d\n", "shutdown_grace: must be less than or equal to 86400"),
        ("reload: {poll_interval: 1e300}\n", "reload.poll_interval: is longer than a year"),
        ("profiles: [{name: p, path: p, reconcile_interval: 1e300}]\n", "is longer than a year"),
        ("otlp: {export_interval: 1e300}\n", "otlp.export_interval: is longer than a year"),
        (
            "probe: {failure_threshold: 3, failure_window: 2}\n",
            "config.yaml:1:31: probe.failure_window: 3 of the last 2 results are more than there are",
        ),
        (
            "probe: {success_window: 4}\ntargets: {a: {plugin: x, probe: {success_threshold: 5}}}\n",
            "targets.a.probe.success_threshold: 5 of the last 4 results are more than there are",
        ),
        (
            "maintenance: [{cron: 61 * * * *, duration: 1h}]\n",
            "config.yaml:1:16: maintenance[0].cron: has a field that cron does not know: minute",
        ),
        ("maintenance: [{cron: 0 2 * * *}]\n", "maintenance[0].duration: is required"),
        (
            "maintenance: [{cron: 0 2 * * *, duration: 1h, timezone: Europe/Berln}]\n",
            "maintenance[0].timezone: is no time zone; did you mean 'Europe/Berlin'?",
        ),
        ("maintenance: [{cron: 0 2 * * *, duration: 32d}]\n", "duration: must be less than or equal to"),
        (
            "maintenance: [{cron: 0 2 * * *, duration: 1h, targets: [b]}]\ntargets: {a: {plugin: x}}\n",
            "maintenance[0].targets[0]: no such target",
        ),
        (
            "maintenance: [{cron: 0 2 * * *, duration: 1h, targets: [a], labels: {a: b}}]\n",
            "maintenance[0]: give `targets` or `labels`; two windows where both are meant",
        ),
        (
            "targets: {a: {plugin: x, maintenance: [{cron: 0 2 * *, duration: 1h}]}}\n",
            "targets.a.maintenance[0].cron: must have five fields",
        ),
        ("probe: {failure_window: 1001}\n", "failure_window: must be less than or equal to 1000"),
        ("probe: {failing_interval: 0}\n", "failing_interval: must be greater than or equal to 0.001"),
        ("workers: {limit: 2, stuck_limit: 3}\n", "workers.stuck_limit: is above workers.limit"),
        ("targets: {a: {plugin: x, labels: {team: 5}}}\n", "labels.team: must be text: put it in quotes"),
        ("targets: {a: {plugin: x, labels: {1-a: b}}}\n", "may hold letters, digits and '_'"),
        (
            "targets: {a: {plugin: x, credentials: {p: {env: A B}}}}\n",
            "is no name of an environment variable",
        ),
        ("targets: {a: {plugin: x, connection: {p: {env: A B}}}}\n", "is no name of an environment variable"),
        ("targets: {a: {plugin: x, credentials: {p: {}}}}\n", "give `env: NAME` or `file: PATH`"),
        ("targets: {a: {plugin: x, credentials: {p: {value: s3cret}}}}\n", "p.value: unknown key; known: "),
        ("log: {password=s3cret}\n", "log.password=***: unknown key"),
        ("http: {'x://u:s3cret@h': 1}\n", "http.x://u:***@h: unknown key"),
        ("otlp: {headers: {authorization: Bearer x}}\n", "a literal secret is refused"),
        ("otlp: {endpoint: 'http://u:s3cret@h'}\n", "a literal secret inside this value is refused"),
    ],
)
def test_single_faults(refused: Refused, text: str, said: str) -> None:
    problems = refused(text)
    assert any(said in problem for problem in problems), problems
    assert "s3cret" not in "".join(problems)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (
            "{name: p, path: x, targets: [dev, prd]}",
            "profiles[0].targets[1]: no such target; did you mean 'prod'?",
        ),
        (
            "{name: p, path: x, target: prd}",
            "profiles[0].target: is none of the profile's outputs; did you mean",
        ),
        ("{name: p, path: x, targets: [dev], target: prod}", "profiles[0].target: is none of the profile's"),
        ("{name: p, path: x, targets: []}", "profiles[0]: a profile needs at least one target"),
        ("{name: p, path: x, targets: [dev, dev]}", "profiles[0].targets[1]: is named twice"),
        (
            "{name: p, path: ~nobody-here/x}",
            "profiles[0].path: '~nobody-here' leads nowhere: there is no such user",
        ),
        ("{name: p, path: x}, {name: p, path: ./x}", "profiles[1].name: the same profile in the same file"),
    ],
)
def test_profiles_name_targets_there_are(refused: Refused, profile: str, said: str) -> None:
    text = f"profiles: [{profile}]\ntargets: {{dev: {{plugin: duckdb}}, prod: {{plugin: duckdb}}}}\n"
    (problem,) = refused(text)
    assert said in problem


@pytest.mark.parametrize(
    ("profile", "targets", "said"),
    [
        (
            "{name: p, path: x}",
            "{dev: {plugin: duckdb}, b: {plugin: duckdb, output: dev}}",
            "targets.b: profile 'p' would call it 'dev', and so it would dev; give one of them",
        ),
        (
            "{name: p, path: x, target: b}",
            "{b: {plugin: duckdb, output: dev}}",
            "profiles[0].target: is none of the profile's outputs; known: dev",
        ),
        ("{name: p, path: x}", "{b: {plugin: duckdb, output: ''}}", "targets.b.output:"),
    ],
)
def test_outputs_have_names_of_their_own(refused: Refused, profile: str, targets: str, said: str) -> None:
    (problem,) = refused(f"profiles: [{profile}]\ntargets: {targets}\n")
    assert said in problem


def test_two_profiles_may_have_an_output_of_one_name(read: Read) -> None:
    profiles = "[{name: p, path: x, targets: [a], target: dev}, {name: q, path: x, targets: [b]}]"
    targets = "{a: {plugin: duckdb, output: dev}, b: {plugin: duckdb, output: dev}}"
    settings = read(f"profiles: {profiles}\ntargets: {targets}\n")
    assert [target.output for target in settings.targets.values()] == ["dev", "dev"]


def test_includes(read: Read, here: Path) -> None:
    (here / "targets.d").mkdir()
    (here / "targets.d" / "b.yaml").write_text("targets: {b: {plugin: duckdb}}\n")
    (here / "targets.d" / "a.yaml").write_text(
        "targets: {a: {plugin: duckdb}}\nprofiles: [{name: q, path: y}]\n"
    )
    (here / "targets.d" / "c.yaml").write_text("# switched off: nothing\n")
    (here / "targets.d" / ".b.yaml.swp").write_text("{")
    (here / "targets.d" / "dir.yaml").mkdir()
    settings = read(
        'include: ["targets.d/*.yaml", "*.yaml", "none/*.yaml"]\nprofiles: [{name: p, path: x}]\n' + TARGET
    )
    assert list(settings.targets) == ["dev", "a", "b"]
    assert [profile.name for profile in settings.profiles] == ["p", "q"]


def test_a_target_defined_twice_names_both_places(refused: Refused) -> None:
    (problem,) = refused("include: [more.yaml]\n" + TARGET, more="\ntargets:\n  dev: {plugin: postgres}\n")
    assert problem == "more.yaml:3:3: targets.dev: is already defined at config.yaml:2:11"


@pytest.mark.parametrize(
    ("include", "more", "said"),
    [
        ("[absent.yaml]", "", "config.yaml:1:11: include[0]: absent.yaml does not exist"),
        (
            "[more.yaml]",
            "probe: {interval: 1s}",
            "more.yaml:1:1: probe: an included file holds targets and profiles",
        ),
        (
            "[more.yaml]",
            "include: [x]",
            "more.yaml:1:1: include: an included file holds targets and profiles only",
        ),
        ("[more.yaml]", "", "more.yaml: is empty"),
        ("[more.yaml]", "targets: [", "more.yaml:2:1: is not valid YAML"),
        ("[more.yaml]", "- x", "more.yaml:1:1: must be a mapping of settings"),
        ("[more.yaml]", "targets: [x]", "more.yaml:1:1: targets: must be a mapping"),
        ("[more.yaml]", "profiles: {x: y}", "more.yaml:1:1: profiles: must be a list"),
        (
            "[more.yaml, ./more.yaml]",
            "targets: {}",
            "config.yaml:1:22: include[1]: more.yaml is included twice",
        ),
        ("[more.yaml]", "targets: {x: {plugin: 5}}", "more.yaml:1:15: targets.x.plugin: must be text"),
        ("[more.yaml]", "profiles: [{name: p}]", "more.yaml:1:12: profiles[0].path: is required"),
        ("more.yaml", "", "config.yaml:1:1: include: must be a list"),
    ],
)
def test_faults_of_includes(refused: Refused, include: str, more: str, said: str) -> None:
    problems = refused(f"include: {include}\n{TARGET}", more=more)
    assert len(problems) == 1
    assert said in problems[0]


def test_an_include_from_the_environment(read: Read, refused: Refused) -> None:
    environ = {"FLOE_MONITOR_INCLUDE": '["more.yaml"]'}
    assert "x" in read(TARGET, environ, more="targets: {x: {plugin: duckdb}}").targets
    (problem,) = refused(TARGET, {"FLOE_MONITOR_INCLUDE": '["absent.yaml"]'})
    assert problem == "environment variable FLOE_MONITOR_INCLUDE: include[0]: absent.yaml does not exist"


def test_a_file_that_may_not_be_read(here: Path) -> None:
    (here / "config.yaml").write_text(TARGET)
    (here / "config.yaml").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root reads everything
    try:
        with pytest.raises(ConfigurationError, match="may not be read by this user"):
            load(Path("config.yaml"), {})
    finally:
        os.seteuid(user)


def test_a_file_that_is_missing(here: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^absent\.yaml: does not exist$"):
        load(Path("absent.yaml"), {})


@pytest.mark.slow
def test_ten_thousand_targets_take_seconds(read: Read) -> None:
    one = """\
  t{n}:
    plugin: postgres
    connection: {{host: db{n}.example, port: 5432, dbname: a, user: dbt, schema: public}}
    credentials: {{password: {{env: PW}}}}
    labels: {{team: core}}
"""
    text = "targets:\n" + "".join(one.format(n=n) for n in range(10_000))
    began = time.process_time()
    assert len(read(text).targets) == 10_000
    assert time.process_time() - began < 6
