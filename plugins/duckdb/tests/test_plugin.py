"""Configuration, profile and checks beside the file's."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_duckdb import DuckDBComputePlugin, extensions
from floe_monitor_duckdb.paths import database_name
from packaging.requirements import Requirement

from floe_monitor.compute import (
    ComputeConfig,
    ComputeConfigurationError,
    ComputePlugin,
    ConnectionResult,
    ConnectionStatus,
    Deadline,
    ErrorType,
    deadline,
)
from floe_monitor.compute.toolkit.dbt_outputs import UnknownKeysError
from floe_monitor.registry.config_validation import ConfigProblems, build_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor_duckdb.config import DuckDBConfig

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
SECRET = "{{ env_var('AWS_SECRET_ACCESS_KEY') }}"


@pytest.fixture
def plugin() -> DuckDBComputePlugin:
    return DuckDBComputePlugin()


def target(plugin: DuckDBComputePlugin, **fields: Any) -> DuckDBConfig:
    return build_config(plugin, {"plugin": "duckdb", **fields})


class TestConfiguration:
    @pytest.mark.parametrize(
        ("connection", "path", "text"),
        [
            ({"pth": "x"}, ("connection", "pth"), "unknown key"),
            ({"attach": [{"path": "x", "alais": "y"}]}, ("connection", "attach", 0, "alais"), "unknown key"),
            ({"attach": [{"path": "x", "alias": "a; b"}]}, ("connection", "attach", 0, "alias"), "pattern"),
            ({"settings": {"a = 1; --": 1}}, ("connection", "settings", "a = 1; --"), "pattern"),
            ({"extensions": ["a'b"]}, ("connection", "extensions", 0), "pattern"),
            ({"path": ""}, ("connection", "path"), "must not be empty"),
            ({"memory_limit": "1GB", "settings": {"memory_limit": "2GB"}}, (), "given twice"),
            ({"path": "/data/shop.duckdb", "database": "store"}, (), "derives from the path"),
            ({"filesystems": [{"protocol": "s3"}]}, ("connection", "filesystems", 0, "fs"), "is required"),
            ({"plugins": [{"name": "excel"}]}, ("connection", "plugins", 0), ""),
            (
                {"attach": [{"path": "x", "type": "sqlite", "options": {"type": "sqlite"}}]},
                ("connection", "attach", 0, "options", "type"),
                "given twice",
            ),
            ({"attach": [{"path": "x", "alias": "a"}, {"path": "y", "alias": "a"}]}, (), "same alias"),
        ],
    )
    def test_what_cannot_work_is_refused_where_it_stands(
        self, plugin: DuckDBComputePlugin, connection: dict[str, Any], path: tuple[Any, ...], text: str
    ) -> None:
        with pytest.raises(ConfigProblems) as caught:
            target(plugin, connection=connection)
        problem = caught.value.problems[0]
        assert problem.path[: len(path)] == path
        assert text in str(problem)

    def test_a_plain_configuration_serves_as_well(self) -> None:
        plugin: ComputePlugin[Any] = DuckDBComputePlugin()
        assert plugin.validate_connection(ComputeConfig(plugin="duckdb")).status is HEALTHY
        with pytest.raises(ComputeConfigurationError, match=r"^threds: "):
            plugin.validate_connection(ComputeConfig.model_validate({"plugin": "duckdb", "threds": 3}))

    def test_what_messages_must_not_repeat(self, plugin: DuckDBComputePlugin) -> None:
        options = {
            "endpoint": "http://127.0.0.1:1",
            "client_id": "the-client",
            "client_secret": "of-a-client",
        }
        config = target(
            plugin,
            connection={
                "secrets": [
                    {"type": "s3", "name": "store", "region": "eu-west-1", "session_token": "of-a-session"}
                ],
                "attach": [{"path": "floe", "alias": "lake", "type": "iceberg", "options": options}],
                "settings": {"http_proxy_password": "of-a-proxy", "TimeZone": "Europe/Berlin"},
            },
            credentials={"store.secret": "of-a-store", "motherduck_token": "short"},
        )
        assert set(config.secret_values()) == {"of-a-client", "of-a-session", "of-a-proxy", "of-a-store"}

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            (":memory:", "memory"),
            ("/data/shop.duckdb", "shop"),
            ("my.db.duckdb", "my"),
            (".hidden.duckdb", "hidden"),
            ("s3://bucket/x/shop.duckdb?region=a", "shop"),
        ],
    )
    def test_the_database_has_the_name_dbt_gives_it(self, path: str, name: str) -> None:
        assert database_name(path) == name


class TestProfile:
    def test_it_has_the_seeds_structure(self, plugin: DuckDBComputePlugin) -> None:
        config = target(
            plugin,
            connection={
                "path": "/data/shop.duckdb",
                "memory_limit": "2GB",
                "extensions": ["httpfs", {"name": "h3", "repo": "community"}],
                "settings": {"TimeZone": "UTC"},
                "config_options": {"http_timeout": 2},
                "secrets": [
                    {
                        "type": "s3",
                        "name": "lake",
                        "region": "us-east-1",
                        "key_id": "{{ env_var('AWS_ACCESS_KEY_ID') }}",
                        "secret": SECRET,
                    }
                ],
                "attach": [{"path": "/data/more.duckdb", "alias": "more", "read_only": True}],
                "retries": {"connect_attempts": 3},
                "schema": "public",
                "must_exist": True,
            },
        )
        assert plugin.generate_dbt_profile(config) == {
            "type": "duckdb",
            "path": "/data/shop.duckdb",
            "schema": "public",
            "threads": 4,
            "extensions": ["httpfs", {"name": "h3", "repo": "community"}],
            "config_options": {"http_timeout": 2},
            "settings": {"memory_limit": "2GB", "threads": 4, "TimeZone": "UTC"},
            "secrets": [
                {
                    "type": "s3",
                    "name": "lake",
                    "region": "us-east-1",
                    "key_id": "{{ env_var('AWS_ACCESS_KEY_ID') }}",
                    "secret": SECRET,
                }
            ],
            "attach": [{"path": "/data/more.duckdb", "alias": "more", "read_only": True}],
            "retries": {"connect_attempts": 3},
        }

    def test_a_credential_fills_the_secret_it_names(self, plugin: DuckDBComputePlugin) -> None:
        config = target(
            plugin,
            connection={"secrets": [{"type": "s3", "name": "lake"}]},
            credentials={"lake.secret": SECRET, "motherduck_token": "{{ env_var('TOKEN') }}"},
        )
        profile = plugin.generate_dbt_profile(config)
        assert profile["secrets"] == [{"type": "s3", "name": "lake", "secret": SECRET}]
        assert profile["motherduck_token"] == "{{ env_var('TOKEN') }}"

    @pytest.mark.parametrize(
        "connection",
        [
            {"secrets": [{"type": "s3", "secret": "hunter2"}]},
            {"secrets": [{"type": "s3", "secret": "{{ env_var('A') }}hunter2"}]},
            {"secrets": [{"type": "azure", "connection_string": "hunter2"}]},
            {"attach": [{"path": "x", "options": {"credential": "me:hunter2"}}]},
            {"settings": {"s3_secret_access_key": "hunter2"}},
            {"config_options": {"motherduck_token": "hunter2"}},
        ],
    )
    def test_a_literal_credential_is_refused_and_not_repeated(
        self, plugin: DuckDBComputePlugin, connection: dict[str, Any]
    ) -> None:
        with pytest.raises(ComputeConfigurationError, match="literal credential") as caught:
            plugin.generate_dbt_profile(target(plugin, connection=connection))
        assert "hunter2" not in str(caught.value)

    def test_a_credential_without_a_use_is_refused(self, plugin: DuckDBComputePlugin) -> None:
        config = target(plugin, credentials={"password": "{{ env_var('A') }}"})
        with pytest.raises(ComputeConfigurationError, match="'password' has no use"):
            plugin.generate_dbt_profile(config)

    @pytest.mark.parametrize(
        "output",
        [
            {"type": "duckdb", "path": ":memory:", "threads": 4},
            {
                "type": "duckdb",
                "path": "/data/shop.duckdb",
                "threads": 8,
                "schema": "s",
                "database": "shop",
                "extensions": ["httpfs"],
                "settings": {"memory_limit": "2GB", "threads": 2, "TimeZone": "UTC"},
                "secrets": [{"type": "s3", "secret": SECRET}],
                "attach": [{"path": "x.db", "type": "sqlite"}],
                "keep_open": False,
                "motherduck_token": "{{ env_var('TOKEN') }}",
            },
        ],
    )
    def test_an_imported_output_is_generated_again(
        self, plugin: DuckDBComputePlugin, output: dict[str, Any]
    ) -> None:
        fields = plugin.import_dbt_output(output)
        credentials = {
            name: f"{{{{ env_var('{reference['env']}') }}}}"
            for name, reference in fields.pop("credentials", {}).items()
        }
        config = target(plugin, **fields, credentials=credentials)
        assert plugin.generate_dbt_profile(config) == output

    def test_an_import_names_what_it_cannot_carry(self, plugin: DuckDBComputePlugin) -> None:
        with pytest.raises(ComputeConfigurationError, match="remote"):
            plugin.import_dbt_output({"type": "duckdb", "remote": {}, "flights": {}})
        with pytest.raises(UnknownKeysError, match="boats, flights") as raised:
            plugin.import_dbt_output({"type": "duckdb", "boats": {}, "flights": {}})
        assert raised.value.keys == ("boats", "flights")

    def test_packages_are_requirements(self, plugin: DuckDBComputePlugin) -> None:
        names = [Requirement(line).name for line in plugin.get_required_dbt_packages()]
        assert names == ["dbt-duckdb", "duckdb"]


class TestChecks:
    @pytest.mark.usefixtures("packaged_extensions")
    def test_an_extension_is_a_check_of_its_own(self, probe: Callable[..., ConnectionResult]) -> None:
        result = probe(extensions=["httpfs", "nosuch", "json"])
        checks = {check.name: check for check in result.checks}
        assert checks["extension:httpfs"].status is HEALTHY
        assert "is built into DuckDB, yet dbt downloads it" in checks["extension:json"].message
        assert checks["extension:nosuch"].error_type is ErrorType.EXTENSION
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.EXTENSION)
        assert "extension 'nosuch' is not installed for DuckDB v" in result.message

    @pytest.mark.usefixtures("packaged_extensions")
    def test_an_extension_is_installed_from_its_package_where_dbt_looks(
        self, tmp_path: Path, probe: Callable[..., ConnectionResult]
    ) -> None:
        folder = tmp_path / "extensions"
        options = {"extension_directory": str(folder)}
        result = probe(extensions=["httpfs"], config_options=options)
        assert result.status is HEALTHY, result
        assert not result.warnings
        assert [path.name for path in folder.rglob("*.duckdb_extension")] == ["httpfs.duckdb_extension"]
        assert probe(extensions=["httpfs"], config_options=options).status is HEALTHY

    def test_a_package_for_another_version_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: Callable[..., ConnectionResult]
    ) -> None:
        folder = tmp_path / "duckdb_extension_older" / "extensions" / "v1.3.2"
        folder.mkdir(parents=True)
        (folder / "older.duckdb_extension").write_bytes(b"not for this version")
        monkeypatch.syspath_prepend(tmp_path)
        extensions.packaged.cache_clear()
        result = probe(extensions=["older"])
        assert result.status is DEGRADED
        assert "is for DuckDB v1.3.2, not v" in result.message

    @pytest.mark.usefixtures("packaged_extensions")
    def test_an_option_of_an_extension_that_is_not_there(
        self, tmp_path: Path, probe: Callable[..., ConnectionResult]
    ) -> None:
        result = probe(config_options={"http_timeout": 2, "extension_directory": str(tmp_path)})
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.EXTENSION)
        result = probe(
            extensions=["httpfs"], config_options={"http_timeout": 2, "extension_directory": str(tmp_path)}
        )
        assert result.status is HEALTHY, result

    @pytest.mark.parametrize(
        ("keys", "status"),
        [
            ({"settings": {"lock_configuration": True}}, DEGRADED),
            ({"settings": {"lock_configuration": True, "TimeZone": "UTC"}}, UNHEALTHY),
            ({"settings": {"lock_configuration": False}}, HEALTHY),
            ({"config_options": {"lock_configuration": True}}, UNHEALTHY),
            (
                {
                    "config_options": {"lock_configuration": True},
                    "settings": {"memory_limit": None, "threads": None},
                },
                HEALTHY,
            ),
        ],
    )
    def test_a_lock_refuses_what_dbt_sets_after_it(
        self, probe: Callable[..., ConnectionResult], keys: dict[str, Any], status: ConnectionStatus
    ) -> None:
        result = probe(**keys)
        assert result.status is status, result
        assert status is HEALTHY or result.error_type is ErrorType.CONFIGURATION
        assert status is HEALTHY or "lock" in result.message

    @pytest.mark.parametrize("key", ["settings", "config_options"])
    @pytest.mark.parametrize(
        ("below", "text"),
        [
            ("spill", ""),
            ("", ""),
            ("no/spill", "cannot be made: its parent does not exist"),
            ("file", "is no directory"),
            ("file/spill", "cannot be made"),
        ],
    )
    def test_a_temporary_directory_has_to_be_possible(
        self, probe: Callable[..., ConnectionResult], tmp_path: Path, key: str, below: str, text: str
    ) -> None:
        (tmp_path / "file").touch()
        result = probe(**{key: {"temp_directory": str(tmp_path / below)}})
        assert result.status is (DEGRADED if text else HEALTHY), result
        assert text in result.message

    @pytest.mark.parametrize("settings", [{"nosuch": 1}, {"threads": 0}, {"memory_limit": "much"}])
    def test_a_setting_that_dbt_would_fail_on(
        self, probe: Callable[..., ConnectionResult], settings: dict[str, Any]
    ) -> None:
        result = probe(settings=settings)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)

    @pytest.mark.parametrize(
        ("settings", "status"),
        [
            ({"schema": "shop.main", "search_path": "more,shop"}, HEALTHY),
            ({"search_path": "main,more.main", "TimeZone": "UTC"}, HEALTHY),
            ({"schema": "shop.raw"}, DEGRADED),
            ({"search_path": "raw,stage,more.raw,main"}, DEGRADED),
            ({"search_path": "raw,nowhere.main"}, UNHEALTHY),
            ({"search_path": "raw", "TimeZone": "Nowhere"}, UNHEALTHY),
        ],
    )
    def test_a_search_path_is_judged_with_every_database_in_place(
        self,
        probe: Callable[..., ConnectionResult],
        database: Path,
        settings: dict[str, Any],
        status: ConnectionStatus,
    ) -> None:
        more = database.with_name("more.duckdb")
        more.write_bytes(database.read_bytes())
        attach = [{"path": str(more), "alias": "more"}]
        result = probe(path=str(database), attach=attach, settings=settings)
        found = {check.name: check for check in result.checks}["settings"]
        assert found.status is status, found
        if status is DEGRADED:
            assert "whether there is a schema 'raw' of database 'shop' is not checked" in found.message
        if status is UNHEALTHY:
            assert found.error_type is ErrorType.CONFIGURATION

    @pytest.mark.parametrize("path", [":memory:", "new.duckdb"])
    def test_an_empty_database_has_no_schema_but_its_own(
        self, probe: Callable[..., ConnectionResult], tmp_path: Path, path: str
    ) -> None:
        name = path if path == ":memory:" else str(tmp_path / path)
        assert probe(path=name, settings={"schema": "main"}).status is not UNHEALTHY
        assert probe(path=name, settings={"schema": "raw"}).status is UNHEALTHY

    @pytest.mark.usefixtures("packaged_extensions")
    @pytest.mark.parametrize(
        ("secret", "status", "text"),
        [
            ({"type": "http", "extra_http_headers": {"a": "b"}, "scope": "https://x"}, HEALTHY, ""),
            ({"type": "http", "persistent": True}, HEALTHY, ""),
            ({"type": "http", "extra_http_headers": "MAP {'a': 'b'}"}, HEALTHY, ""),
            ({"type": "http", "nosuch": "x"}, UNHEALTHY, "Unknown parameter 'nosuch'"),
            ({"type": "nosuch"}, UNHEALTHY, "Secret type 'nosuch' not found"),
            ({"type": "http", "provider": "credential_chain"}, UNHEALTHY, "provider 'credential_chain'"),
            ({"type": "s3", "region": "eu-west-1", "use_ssl": False}, HEALTHY, ""),
            ({"type": "s3", "key": "x"}, UNHEALTHY, "Unknown parameter 'key'"),
            ({"type": "postgres", "name": "pg"}, DEGRADED, "package duckdb-extension-postgres-scanner=="),
            ({"type": "s3", "provider": "credential_chain"}, DEGRADED, "duckdb-extension-aws=="),
        ],
    )
    def test_a_secret_is_created_as_dbt_creates_it(
        self,
        probe: Callable[..., ConnectionResult],
        home: Path,
        secret: dict[str, Any],
        status: ConnectionStatus,
        text: str,
    ) -> None:
        result = probe(secrets=[secret])
        assert result.status is status, result
        assert text in result.message
        assert [check.name for check in result.checks][2] == f"secret:{secret.get('name', '_dbt_secret_1')}"
        assert not [*home.glob(".duckdb/stored_secrets/*")], "a probe stores no secret"

    def test_a_secret_of_no_catalog_is_created_too(
        self, probe: Callable[..., ConnectionResult], extension_directory: str
    ) -> None:
        secret = {"type": "iceberg", "name": "polaris", "client_id": "a", "client_secret": "hunter2hunter2"}
        with deadline.running_until(Deadline.after(20)):
            result = probe(
                secrets=[{**secret, "oauth2_server_uri": "http://127.0.0.1:1/v1/oauth/tokens"}],
                config_options={"extension_directory": extension_directory},
            )
        assert result.status is UNHEALTHY
        assert "hunter2" not in result.message

    @pytest.mark.usefixtures("packaged_extensions")
    def test_the_default_chain_is_a_secret(
        self, plugin: DuckDBComputePlugin, probe: Callable[..., ConnectionResult]
    ) -> None:
        result = probe(use_credential_provider="aws")
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.EXTENSION)
        assert "'aws' is not installed" in result.message
        chained = target(plugin, connection={"use_credential_provider": "aws"})
        assert plugin.get_default_isolation(chained) == "process", "nothing ends its wait for a cloud"
        with pytest.raises(ConfigProblems, match="use_credential_provider"):
            target(plugin, connection={"use_credential_provider": "gcp"})

    @pytest.mark.usefixtures("packaged_extensions")
    @pytest.mark.parametrize(
        "keys",
        [
            {"filesystems": [{"fs": "s3", "anon": True}]},
            {"plugins": [{"module": "excel", "config": {"output": {}}}]},
            {"attach": [{"path": "s3://bucket/shop.duckdb", "alias": "more"}]},
        ],
    )
    def test_what_is_not_checked_is_no_healthy_claim(
        self, plugin: DuckDBComputePlugin, probe: Callable[..., ConnectionResult], keys: dict[str, Any]
    ) -> None:
        result = probe(**keys)
        assert result.status is DEGRADED
        assert "not checked" in result.message
        assert plugin.generate_dbt_profile(target(plugin, connection=keys)) | keys == (
            plugin.generate_dbt_profile(target(plugin, connection=keys))
        )

    def test_a_database_behind_an_extension_is_no_healthy_claim(
        self, probe: Callable[..., ConnectionResult]
    ) -> None:
        result = probe(path="md:shop")
        assert result.status is DEGRADED
        assert "not checked" in result.message

    def test_a_deadline_that_has_passed_is_a_timeout(self, probe: Callable[..., ConnectionResult]) -> None:
        with deadline.running_until(Deadline.after(-1)):
            result = probe()
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)

    @pytest.mark.usefixtures("packaged_extensions")
    def test_messages_name_no_folder_of_this_machine(
        self, tmp_path: Path, probe: Callable[..., ConnectionResult]
    ) -> None:
        folder = tmp_path / "extensions"
        assert (
            probe(extensions=["httpfs"], config_options={"extension_directory": str(folder)}).status
            is HEALTHY
        )
        [file] = folder.rglob("*.duckdb_extension")
        file.unlink()  # this process has it mapped: a new file, not other bytes under the old one
        file.write_bytes(b"damaged")
        result = probe(extensions=["httpfs"], config_options={"extension_directory": str(folder)})
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.EXTENSION)
        assert str(tmp_path) not in result.message


@pytest.mark.process
def test_importing_the_plugin_imports_no_driver() -> None:
    script = "import sys, floe_monitor_duckdb; sys.exit(any('duckdb' == name for name in sys.modules))"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
