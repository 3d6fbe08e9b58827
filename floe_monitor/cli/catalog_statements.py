"""The statements of `catalog-sql`: a target's catalogs, credentials resolved, and hidden unless asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.cli.terminal import CliError
from floe_monitor.compute.models import CatalogConfig
from floe_monitor.compute.redaction.detection import is_public_key
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.env_references import (
    ExpressionError,
    UnresolvedError,
    is_template,
    parse_expression,
)
from floe_monitor.credentials.resolver import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.domain.targets import Target


def statements(target: Target, plugin: Any, *, show_secrets: bool) -> list[str]:
    """In the order to run them. `CliError` where the target has no catalog or a credential is missing."""
    try:
        configs, scrub = _catalogs(target, plugin)
    except CredentialError as error:
        raise CliError(f"target {target.name}: {error}") from None
    if not configs:
        raise CliError(
            f"target {target.name} names no catalog",
            f"Give it one under `targets.{target.name}.catalog`; see docs/configuration.md.",
        )
    found: list[str] = []
    for config in configs:
        try:
            part = plugin.get_catalog_attachment_sql(config)
        except Exception as error:  # noqa: BLE001 - a plugin's code, whose text may hold a credential
            raise CliError(
                f"target {target.name}: catalog {config.catalog_name}: {scrub(str(error))}"
            ) from None
        if part is None:
            raise CliError(f"the {target.plugin_name} engine attaches no catalogs by SQL")
        found += part
    return found if show_secrets else [scrub(statement) for statement in found]


def _catalogs(target: Target, plugin: Any) -> tuple[list[CatalogConfig], Callable[[str], str]]:
    settings = target.settings.catalog
    if settings is None:
        get_configs = getattr(plugin, "get_catalog_configs", None)
        resolved = target.resolve()
        configs: list[CatalogConfig] = get_configs(resolved.config) if get_configs is not None else []
        secrets = [
            value.get_secret_value()
            for config in configs
            for key, value in config.credentials.items()
            if not is_public_key(key)
        ]
        return configs, _both(resolved.redactor, Redactor(secrets))
    try:
        credentials = {
            key: credential.reference.read(target.environ) for key, credential in settings.credentials.items()
        }
        fields = _evaluated(settings.model_dump(exclude={"credentials"}), target.environ)
    except (UnresolvedError, ExpressionError) as error:
        raise CliError(f"target {target.name}: catalog: {error}") from None
    config = CatalogConfig.model_validate({**fields, "credentials": credentials})
    return [config], Redactor(value for key, value in credentials.items() if not is_public_key(key))


def _evaluated(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _evaluated(item, environ) for key, item in value.items()}
    if isinstance(value, str) and is_template(value):
        return parse_expression(value).evaluate(environ)
    return value


def _both(first: Redactor, second: Redactor) -> Callable[[str], str]:
    return lambda text: second(first(text))
