"""What a target shares with others, by its configuration alone: its host, credential, catalog, warehouse.

Two targets that share one of them may fail by one cause. The plugin declares which keys of its configuration
make up which of them; nothing is resolved, so that values of credentials are never compared or shown.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from floe_monitor.credentials.masking import redacted
from floe_monitor.registry import foreign_plugin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from floe_monitor.compute.models import CatalogConfig, ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.settings.models import TargetSettings

ResourceKind = Literal["host", "credential", "catalog", "warehouse", "plugin", "connectivity"]
DECLARED: tuple[ResourceKind, ...] = ("host", "warehouse")
"""What `resource_keys` of a plugin may speak of; the others are the monitor's own to find."""
_LONGEST = 512


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """`name` is as the configuration has it, secrets masked: `db.internal:5432`, `env WAREHOUSE_PASSWORD`.

    The monitor's own connectivity is in no configuration: its name is the monitor's.
    """

    kind: ResourceKind
    name: str

    @classmethod
    def parse(cls, kind: str, name: str) -> Resource:
        """`ValueError` for a kind that there is not."""
        for known in get_args(ResourceKind):
            if known == kind:
                return cls(known, name)
        raise ValueError(f"unknown kind of resource {kind!r}")


def shared_resources(
    settings: TargetSettings,
    plugin: ComputePlugin[Any] | None,
    config: ComputeConfig | None,
    secret_variables: Iterable[str] = (),
) -> tuple[Resource, ...]:
    """Sorted, each once. `config` is the one for profiles: dbt's expressions stand for what is found late.

    Asks the plugin for its catalogs, so it belongs where configurations are read and not on the event loop.
    """
    found = {Resource("plugin", settings.plugin)}
    found.update(_declared(settings, plugin, config))
    for reference in settings.credentials.values():
        name = f"file {reference.file}" if reference.file is not None else f"env {reference.env}"
        found.add(Resource("credential", name))
    found.update(Resource("credential", f"env {name}") for name in secret_variables)
    if settings.catalog is not None:
        found.add(_catalog(settings.catalog.catalog_uri))
    found.update(_catalog(catalog.catalog_uri) for catalog in _attached(plugin, config))
    return tuple(sorted(found))


def _declared(
    settings: TargetSettings, plugin: ComputePlugin[Any] | None, config: ComputeConfig | None
) -> Iterator[Resource]:
    if plugin is None:
        return
    declared = foreign_plugin.resource_keys(plugin)
    for kind in DECLARED:
        keys = declared.get(kind, ())
        values = [_value(settings, config, key) for key in keys]
        if not keys or values[0] is None:  # the first key says which; the others, of which there
            continue
        name = ":".join(str(value) for value in values if value is not None)
        folded = kind == "host" and "{{" not in name  # names of variables differ by case
        yield Resource(kind, _displayed_name(name.lower() if folded else name))


def _value(settings: TargetSettings, config: ComputeConfig | None, key: str) -> str | int | None:
    value = getattr(config, key, None)
    if value is None:
        value = settings.connection.get(key)
    return value if isinstance(value, str | int) and value != "" else None


def _attached(plugin: ComputePlugin[Any] | None, config: ComputeConfig | None) -> list[CatalogConfig]:
    if plugin is None or config is None:
        return []
    with contextlib.suppress(Exception):  # the plugin's code; the probe reports what is wrong
        return foreign_plugin.catalog_configs(plugin, config)
    return []


def _catalog(uri: str) -> Resource:
    return Resource("catalog", _displayed_name(uri.rstrip("/")))


def _displayed_name(name: str) -> str:
    return str(redacted(name))[:_LONGEST]
