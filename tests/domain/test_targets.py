"""Targets: joined with real plugins, resolved late and cheaply, told apart by fingerprint."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ExpiryKind
from floe_monitor.credentials.resolver import CredentialError
from floe_monitor.domain.targets import Target, build_targets
from floe_monitor.registry.discovery import PluginRegistry, discover
from floe_monitor.settings import ConfigurationError, Settings, load

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "correct-horse"


@pytest.fixture(scope="module")
def registry() -> PluginRegistry:
    return discover()


def build(
    registry: PluginRegistry,
    environ: dict[str, str] | None = None,
    probe: dict[str, Any] | None = None,
    **more: Any,
) -> Target:
    keys = {
        "plugin": "postgres",
        "connection": {"host": "h", "user": "u", "dbname": "d", "schema": "s"},
    } | more
    settings = Settings.model_validate({"probe": probe or {}, "targets": {"dev": keys}})
    return build_targets(settings, registry, environ=environ or {})["dev"]


def connection(**more: Any) -> dict[str, Any]:
    return {"host": "h", "user": "u", "dbname": "d", "schema": "s"} | more


def refusals(registry: PluginRegistry, targets: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        build_targets(Settings.model_validate({"targets": targets}), registry, environ={})
    return [str(problem) for problem in caught.value.problems]


def password(target: Target) -> str:
    return target.resolve().config.credentials["password"].get_secret_value()


def test_a_credential_is_read_anew_each_time(registry: PluginRegistry, tmp_path: Path) -> None:
    environ = {"PW": "first-one"}
    by_variable = build(registry, environ, credentials={"password": {"env": "PW"}})
    assert password(by_variable) == "first-one"
    assert by_variable.resolve() is by_variable.resolve()
    environ["PW"] = "second-one"
    assert password(by_variable) == "second-one"
    assert by_variable.resolve().redactor("second-one first-one") == "*** first-one"

    held = tmp_path / "pw"
    held.write_text("first-one\n")
    by_file = build(registry, credentials={"password": {"file": str(held)}})
    assert password(by_file) == "first-one"
    held.write_text("second-one\n")
    assert password(by_file) == "second-one"
    held.unlink()
    with pytest.raises(CredentialError, match=r"credentials\.password: file .*/pw: no such file"):
        by_file.resolve()


def test_a_secret_mounted_by_kubernetes_rotates(registry: PluginRegistry, tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "pw").write_text(f"password-{version}")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "pw").symlink_to("..data/pw")
    target = build(registry, credentials={"password": {"file": str(tmp_path / "pw")}})
    assert password(target) == "password-1"
    (tmp_path / "..tmp").symlink_to("..2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    assert password(target) == "password-2"


def test_all_that_is_missing_is_named_at_once(registry: PluginRegistry) -> None:
    absent = connection(host={"file": "/absent"})
    target = build(registry, connection=absent, credentials={"password": {"env": "PW"}})
    with pytest.raises(CredentialError) as caught:
        target.resolve()
    assert str(caught.value) == (
        "connection.host: file /absent: no such file or directory; "
        "credentials.password: environment variable PW is not set"
    )


def test_expressions_are_resolved_for_the_probe_and_kept_for_the_profile(registry: PluginRegistry) -> None:
    text = connection(host="db.{{ env_var('ZONE') }}", port="{{ env_var('PORT', '5433') | as_number }}")
    environ = {"ZONE": "eu"}
    target = build(registry, environ, connection=text)
    assert target.resolve().config.connection["host"] == "db.eu"
    assert target.resolve().config.connection["port"] == 5433
    environ["PORT"] = "6000"
    assert target.resolve().config.connection["port"] == 6000
    assert target.profile_config is not None
    assert target.profile_config.connection == text
    del environ["ZONE"]
    with pytest.raises(CredentialError, match=r"connection\.host: environment variable ZONE is not set"):
        target.resolve()


def test_a_value_of_the_wrong_type_is_told_without_the_value(registry: PluginRegistry) -> None:
    target = build(registry, {"PORT": SECRET}, connection=connection(port="{{ env_var('PORT') }}"))
    with pytest.raises(CredentialError) as caught:
        target.resolve()
    assert "connection.port" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_references_within_a_connection(registry: PluginRegistry, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    secrets = [{"type": "s3", "key_id": {"env": "KEY_ID"}, "secret": {"file": str(tmp_path / "key")}}]
    target = build(registry, {"KEY_ID": "AKIA123"}, plugin="duckdb", connection={"secrets": secrets})
    resolved = target.resolve()
    assert resolved.config.connection["secrets"][0] == {"type": "s3", "key_id": "AKIA123", "secret": SECRET}
    assert resolved.redactor(f"AKIA123 {SECRET}") == "*** ***"
    assert target.profile_config is not None
    assert target.profile_config.connection["secrets"][0] == {
        "type": "s3",
        "key_id": "{{ env_var('KEY_ID') }}",
        "secret": "{{ env_var('DBT_ENV_SECRET_DEV_SECRETS_0_SECRET') }}",
    }


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ({"env": "PW"}, "PW"),
        ({"file": "/x"}, "DBT_ENV_SECRET_DEV_PASSWORD"),
        ({"file": "/x", "env": "PW"}, "PW"),
    ],
)
def test_how_the_profile_calls_a_credential(
    registry: PluginRegistry, reference: dict[str, str], name: str
) -> None:
    target = build(registry, credentials={"password": reference})
    assert target.profile_config is not None
    assert target.profile_config.credentials["password"].get_secret_value() == f"{{{{ env_var('{name}') }}}}"


def test_which_variables_are_scrubbed(registry: PluginRegistry) -> None:
    environ = {
        "PGPASSWORD": "by-its-name",
        "DBT_ENV_SECRET_X": "by-its-prefix",
        "PLAIN": "under-a-key",
        "URL": "postgresql://u:in-the-url@h/d",
        "HOST": "not-secret",
    }
    options = {"a": "{{ env_var('PGPASSWORD') }}", "b": "{{ env_var('DBT_ENV_SECRET_X') }}"}
    options |= {
        "token": "Bearer {{ env_var('PLAIN') }}",
        "c": "{{ env_var('URL') }}",
        "d": "{{ env_var('HOST') }}",
    }
    target = build(
        registry, environ, plugin="duckdb", connection={"attach": [{"path": "x", "options": options}]}
    )
    redact = target.resolve().redactor
    for secret in ("by-its-name", "by-its-prefix", "under-a-key", "Bearer under-a-key", "in-the-url"):
        assert redact(secret) == "***"
    assert redact("not-secret h d u") == "not-secret h d u"


def test_a_reference_under_a_public_key_is_no_secret(registry: PluginRegistry, tmp_path: Path) -> None:
    """Or else a user called `dbt` would turn dbt-postgres into ***-postgres."""
    (tmp_path / "user").write_text("dbt")
    environ = {"DB_HOST": "prod", "PW": "hunter2", "DBT_ENV_SECRET_DB": "hidden-by-prefix"}
    environ["SCHEMA_URL"] = "x://u:hidden-in-url@h"
    references = {
        "host": {"env": "DB_HOST"},
        "user": {"file": str(tmp_path / "user")},
        "dbname": {"env": "DBT_ENV_SECRET_DB"},
        "schema": {"env": "SCHEMA_URL"},
    }
    target = build(
        registry, environ, connection=connection(**references), credentials={"password": {"env": "PW"}}
    )
    redact = target.resolve().redactor
    text = "dbt at prod: install dbt-postgres"
    assert redact(text) == text
    assert redact("hunter2 hidden-by-prefix x://u:hidden-in-url@h") == "*** *** x://u:***@h"


def test_resolving_is_cheap(registry: PluginRegistry) -> None:
    plain = build(registry, connection=connection())
    late = build(registry, {"PW": "some-password"}, credentials={"password": {"env": "PW"}})
    for target, allowed in ((plain, 10e-6), (late, 60e-6)):
        target.resolve()
        began = time.process_time()
        for _ in range(2000):
            target.resolve()
        assert (time.process_time() - began) / 2000 < allowed


def test_two_credentials_never_share_a_derived_variable(registry: PluginRegistry) -> None:
    base = {"plugin": "postgres", "connection": connection()}
    clash = {
        "a-b": base | {"credentials": {"password": {"file": "/one"}}},
        "a.b": base | {"credentials": {"password": {"file": "/two"}}},
    }
    (problem,) = refusals(registry, clash)
    assert (
        "targets.a.b.credentials.password: profiles.yml would call this and a-b's credentials.password both "
        in (problem)
    )
    assert "DBT_ENV_SECRET_A_B_PASSWORD; add `env: NAME`" in problem
    chosen = {
        "a": base | {"credentials": {"password": {"file": "/one", "env": "PW"}}},
        "b": base | {"credentials": {"password": {"file": "/two", "env": "PW"}}},
    }
    assert len(refusals(registry, chosen)) == 1
    chosen["b"]["credentials"] = {"password": {"env": "PW"}}
    assert build_targets(Settings.model_validate({"targets": chosen}), registry, environ={}).keys() == {
        "a",
        "b",
    }


def test_the_plugins_own_keys_are_checked_and_located(registry: PluginRegistry, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("targets:\n  dev:\n    plugin: duckdb\n    connection:\n      pth: x\n    thread: 3\n")
    loaded = load(path, {})
    with pytest.raises(ConfigurationError) as caught:
        build_targets(loaded.settings, registry, loaded.locate)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}:5:7: targets.dev.connection.pth: unknown key; did you mean 'path'?",
        f"{path}:6:5: targets.dev.thread: unknown key; did you mean 'threads'?",
    ]


@pytest.mark.parametrize("text", ["(" * 5000 + "1" + ")" * 5000, "[" * 5000 + "]" * 5000, "a" + "|f" * 5000])
def test_an_expression_nested_without_end_is_a_problem_with_its_place(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"targets: {{dev: {{plugin: duckdb, connection: {{path: '{{{{ {text} }}}}'}}}}}}")
    with pytest.raises(ConfigurationError) as refused:
        load(file, {})
    wanted = "config.yaml:1:46: targets.dev.connection.path: not a valid expression: it is nested too deeply"
    assert [str(problem).rpartition("/")[2] for problem in refused.value.problems] == [wanted]


def test_a_missing_plugin_is_the_targets_problem_not_the_configurations(registry: PluginRegistry) -> None:
    target = build(registry, plugin="oracle", credentials={"password": {"env": "PW"}})
    assert target.entry.plugin is None
    assert target.profile_config is None
    assert target.policy.isolation == "thread"
    with pytest.raises(CredentialError, match="oracle"):
        target.resolve()


def test_policies_merge_key_by_key(registry: PluginRegistry) -> None:
    common = {"interval": "60s", "timeout": "3s", "failure_threshold": 3, "isolation": "process"}
    policy = build(registry, probe=common).policy
    assert (policy.interval, policy.timeout, policy.thresholds.failure, policy.isolation) == (
        60,
        3,
        3,
        "process",
    )
    policy = build(registry, probe={"interval": "5s"}, connection=connection()).policy
    assert (policy.interval, policy.timeout, policy.isolation) == (5, 5, "thread")
    settings = Settings.model_validate(
        {
            "probe": common,
            "targets": {"dev": {"plugin": "x", "probe": {"interval": 1, "isolation": "thread"}}},
        }
    )
    policy = build_targets(settings, registry)["dev"].policy
    assert (policy.interval, policy.timeout, policy.thresholds.failure, policy.isolation) == (
        1,
        3,
        3,
        "thread",
    )


def test_the_fingerprint_tells_what_changed_but_no_secret(registry: PluginRegistry) -> None:
    environ = {"PW": "one-password"}
    keys: dict[str, Any] = {"credentials": {"password": {"env": "PW"}}}
    first = build(registry, environ, **keys)
    environ["PW"] = "another-one"
    assert build(registry, environ, **keys).fingerprint == first.fingerprint
    assert build(registry, environ, labels={"tier": "gold"}, **keys).fingerprint == first.fingerprint
    others = [
        build(registry, credentials={"password": {"env": "OTHER"}}),
        build(registry, connection=connection(port=1), **keys),
        build(registry, threads=2, **keys),
        build(registry, plugin="duckdb", connection={}),
        build(registry, probe={"timeout": 1}, **keys),
        build(registry, probe={"success_threshold": 2}, **keys),
        build(registry, probe={"success_window": 2}, **keys),
        build(registry, probe={"failing_interval": 2}, **keys),
        build(registry, probe={"isolation": "process"}, **keys),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_the_process_environment_is_the_default(
    registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate(
        {
            "targets": {
                "dev": {
                    "plugin": "postgres",
                    "connection": connection(),
                    "credentials": {"password": {"env": "PW"}},
                }
            }
        }
    )
    target = build_targets(settings, registry)["dev"]
    monkeypatch.setitem(os.environ, "PW", "from-the-process")
    assert password(target) == "from-the-process"


def test_a_policy_reads_as_the_settings_it_is_made_of(registry: PluginRegistry) -> None:
    shown = build(registry, probe={"timeout": "3s"}).policy.as_settings()
    assert shown == {
        "interval": 30.0,
        "failing_interval": 30.0,
        "timeout": 3.0,
        "failure_threshold": 1,
        "failure_window": 1,
        "success_threshold": 1,
        "success_window": 1,
        "isolation": "thread",
        "expiry_warning": 14 * 86_400,
        "token_expiry_warning": None,
    }


@pytest.mark.parametrize(
    ("common", "own", "usual", "token"),
    [
        ({}, {}, 14 * 86_400, 14 * 86_400),
        ({"token_expiry_warning": "5m"}, {}, 14 * 86_400, 300),
        ({"token_expiry_warning": "5m"}, {"expiry_warning": "2d"}, 2 * 86_400, 2 * 86_400),
        ({"expiry_warning": "1d"}, {"token_expiry_warning": 0}, 86_400, 0),
    ],
)
def test_a_targets_own_warning_is_also_that_of_its_tokens(
    registry: PluginRegistry, common: dict[str, Any], own: dict[str, Any], usual: float, token: float
) -> None:
    settings = Settings.model_validate(
        {"probe": common, "targets": {"dev": {"plugin": "duckdb", "probe": own}}}
    )
    lead = build_targets(settings, registry)["dev"].policy.expiry_lead
    assert lead.of(ExpiryKind.PASSWORD) == usual
    assert lead.of(ExpiryKind.TOKEN) == token


def test_windows_are_chosen_by_name_and_label_and_restart_nothing(
    registry: PluginRegistry,
) -> None:
    def windows(maintenance: list[dict[str, Any]], own: list[dict[str, Any]]) -> dict[str, Any]:
        targets = {
            "a": {"plugin": "x", "labels": {"team": "core", "tier": "gold"}, "maintenance": own},
            "b": {"plugin": "x", "labels": {"team": "core"}},
        }
        settings = Settings.model_validate({"maintenance": maintenance, "targets": targets})
        return build_targets(settings, registry)

    def reasons(target: Any) -> list[str]:
        return [window.reason for window in target.windows]

    at_two = {"cron": "0 2 * * *", "duration": "1h"}
    chosen = windows(
        [
            {**at_two, "reason": "all"},
            {**at_two, "reason": "named", "targets": ["b"]},
            {**at_two, "reason": "core", "labels": {"team": "core"}},
            {**at_two, "reason": "gold core", "labels": {"team": "core", "tier": "gold"}},
        ],
        [{**at_two, "reason": "own"}],
    )
    assert reasons(chosen["a"]) == ["all", "core", "gold core", "own"]
    assert reasons(chosen["b"]) == ["all", "named", "core"]
    without = windows([], [])
    assert {name: target.fingerprint for name, target in without.items()} == {
        name: target.fingerprint for name, target in chosen.items()
    }
