"""What a plugin says without touching its engine: profile, packages, resources, catalogs, configuration."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import InvalidRequirement, Requirement
from pydantic import ValidationError

from floe_monitor.compute.errors import ComputeConfigurationError
from floe_monitor.compute.models import WORKLOAD_PRESETS, CatalogConfig, ComputeConfig
from floe_monitor.compute.plugin import ComputePlugin
from floe_monitor.compute.quantities import parse_quantity
from floe_monitor.compute.validation_messages import describe
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from floe_monitor.registry.foreign_plugin import (
    catalog_attachment_sql,
    catalog_configs,
    resource_requirements,
)
from floe_monitor.testing.audit import watching
from floe_monitor.testing.kit import Kit, fault, fields_of, for_profile, secrets_of, texts_in

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOUCHING = frozenset(
    {"open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn"}
    | {"os.remove", "os.rename", "os.mkdir", "os.listdir", "sqlite3.connect", "os.putenv", "os.unsetenv"}
)
_UNKNOWN_KEY = "no_such_key_as_this"
_CATALOG = CatalogConfig(
    catalog_uri="http://127.0.0.1:9/o'catalog",
    catalog_name="lake",
    warehouse="lake",
    oauth_server_uri="http://127.0.0.1:9/oauth/tokens",
    credentials={"client_id": "an'id", "client_secret": "a'secret"},
)


class DescriptionConformance(Kit):
    def test_profile_is_plain_and_stable(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        stored = for_profile(plugin, config)
        kept = stored.model_copy(deep=True)
        profile: Any = plugin.generate_dbt_profile(stored)
        if not isinstance(profile, dict) or not isinstance(profile.get("type"), str) or not profile["type"]:
            fault("the profile is no mapping with a `type`, the adapter's name")
        odd = next(_odd_values(profile, ()), None)
        if odd:
            fault(f"the profile has {odd}: plain YAML values only")
        if yaml.safe_load(yaml.safe_dump(profile)) != profile:
            fault("the profile is another after writing it as YAML and reading it back")
        if stored != kept:
            fault("generate_dbt_profile changes the configuration it was given")
        if json.dumps(plugin.generate_dbt_profile(kept)) != json.dumps(profile):
            fault("the same configuration gives another profile, or another order, the second time")

    def test_profile_touches_nothing(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        stored = for_profile(plugin, config)
        plugin.generate_dbt_profile(stored)  # imports may read files, once
        with watching(_TOUCHING, this_thread_only=True) as seen:
            plugin.generate_dbt_profile(stored)
        if seen:
            fault(f"generate_dbt_profile is not pure, it caused: {', '.join(sorted(seen))}")

    def test_profile_has_credentials_by_reference(
        self, plugin: ComputePlugin[Any], config: ComputeConfig
    ) -> None:
        stored = for_profile(plugin, config)
        texts = list(texts_in(plugin.generate_dbt_profile(stored)))
        for key, secret in secrets_of(config).items():
            if len(secret) >= 4 and any(secret in text for text in texts):
                fault(f"the value of credential {key!r} appears in the profile")
        for key, expression in secrets_of(stored).items():
            if not any(expression in text for text in texts):
                fault(f"the profile lacks {expression}, as credential {key!r} was given: dbt cannot connect")
        for text in texts:
            if "**********" in text:
                fault("the profile has a masked secret: use get_secret_value()")

    def test_profile_keeps_expressions(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        """Any connection value may be dbt's `env_var`, and is then the profile's too, word for word."""
        for key, value in config.connection.items():
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                continue
            expression = "{{ env_var('CONFORMANCE_VALUE') }}"
            fields = fields_of(config)
            fields["connection"] = {**fields["connection"], key: expression}
            try:
                profile = plugin.generate_dbt_profile(build_config(plugin, fields))
            except (ComputeConfigurationError, ConfigProblems):
                continue  # refused with a reason: where the value decides what else is needed
            except Exception as error:  # noqa: BLE001 - the plugin's code
                fault(f"connection.{key} as an env_var expression: {type(error).__name__}: {error}")
            if not any(expression in text for text in texts_in(profile)):
                fault(f"connection.{key} as an env_var expression is not in the profile word for word")

    def test_profile_can_be_imported_back(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        if getattr(type(plugin), "import_dbt_output", None) in {None, ComputePlugin.import_dbt_output}:
            return  # importing is an offer of some plugins
        fields = {key: value for key, value in fields_of(config).items() if key != "credentials"}
        try:
            profile = plugin.generate_dbt_profile(build_config(plugin, fields))
        except (ComputeConfigurationError, ConfigProblems):
            return  # there is none without credentials
        try:
            imported = plugin.import_dbt_output(profile)
            again = plugin.generate_dbt_profile(build_config(plugin, {"plugin": plugin.name, **imported}))
        except (ComputeConfigurationError, ConfigProblems) as error:
            fault(f"import_dbt_output does not take the plugin's own profile: {error}")
        if again != profile:
            fault("a profile that was imported gives another profile")

    def test_resources(self, plugin: ComputePlugin[Any]) -> None:
        for size in WORKLOAD_PRESETS:
            try:
                spec = resource_requirements(plugin, size)
            except ValidationError as error:
                fault(f"size {size}: {describe(error.errors(include_url=False)[0])}")
            for what in ("cpu", "memory", "ephemeral_storage"):
                request, limit = getattr(spec, f"{what}_request"), getattr(spec, f"{what}_limit")
                if parse_quantity(request) > parse_quantity(limit):
                    fault(f"size {size}: the {what} request {request} is above its limit {limit}")
        with pytest.raises(ValueError, match=r".+"):
            plugin.get_resource_requirements("no such size")

    def test_packages(self, plugin: ComputePlugin[Any]) -> None:
        packages: Any = plugin.get_required_dbt_packages()
        if not isinstance(packages, list) or not packages:
            fault("get_required_dbt_packages: a list is wanted, with dbt's adapter at least")
        for package in packages:
            try:
                requirement = Requirement(package)
            except (InvalidRequirement, TypeError) as error:
                fault(f"package {package!r} is no PEP 508 requirement: {error}")
            if requirement.url:
                fault(f"package {package!r} is an address: images are built from an index")
        if not any(package.lower().startswith("dbt-") for package in packages):
            fault(f"no dbt adapter among {packages}")

    def test_catalogs(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        for catalog in catalog_configs(plugin, config):
            if not isinstance(catalog, CatalogConfig):
                fault(f"get_catalog_configs returned a {type(catalog).__name__} among its catalogs")
        try:
            statements: Any = plugin.get_catalog_attachment_sql(_CATALOG)
            if statements is None:
                return
            catalog_attachment_sql(plugin, _CATALOG)
        except ComputeConfigurationError:
            return  # refused with a reason
        except Exception as error:  # noqa: BLE001 - the plugin's code, and what adapting it finds
            fault(f"get_catalog_attachment_sql: {type(error).__name__}: {error}")
        if not statements or not isinstance(statements, list):
            fault("get_catalog_attachment_sql: None, or a list of statements")
        for value in ("o'catalog", "an'id", "a'secret"):
            if any(value in statement for statement in statements):
                fault(
                    "get_catalog_attachment_sql does not escape a quote in a value: anyone's SQL may follow"
                )

    def test_configuration_model(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        schema = plugin.get_config_schema()
        if schema is None:
            pytest.skip("no configuration model: a misspelt connection key goes unnoticed")
        try:
            json.dumps(schema.model_json_schema())
        except Exception as error:  # noqa: BLE001 - the plugin's model
            fault(f"the configuration model gives no JSON Schema: {type(error).__name__}: {error}")
        fields = fields_of(config)
        fields["connection"] = {**fields["connection"], _UNKNOWN_KEY: "a canary value"}
        try:
            build_config(plugin, fields)
        except ConfigProblems as error:
            problems = error.problems
        else:
            fault("an unknown connection key is accepted: a misspelt one would go unnoticed")
        if not any(problem.path[-1:] == (_UNKNOWN_KEY,) for problem in problems):
            fault(f"an unknown connection key is refused without naming it: {problems}")
        if "a canary value" in str(problems):
            fault("the text about an unknown connection key repeats its value")


def _odd_values(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                yield f"a key of type {type(key).__name__} at {'.'.join(path) or 'the top'}"
            yield from _odd_values(item, (*path, str(key)))
    elif type(value) is list:
        for index, item in enumerate(value):
            yield from _odd_values(item, (*path, str(index)))
    elif value is not None and type(value) not in {str, int, float, bool}:
        yield f"a {type(value).__name__} at {'.'.join(path)}"
    elif type(value) is float and math.isnan(value):
        yield f"not-a-number at {'.'.join(path)}"
