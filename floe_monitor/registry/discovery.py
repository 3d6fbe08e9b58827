"""Finding plugins by their entry points, and accepting them by their shape.

Nothing is imported to discover; a plugin is imported when it is first asked for. Whatever is wrong with one
becomes the `problem` of its entry and leaves the others alone. Upstream's plugins have a base class of their
own, so what counts is what a plugin has, not what it inherits from.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from floe_monitor.compute.plugin import FLOE_API_VERSION
from floe_monitor.compute.toolkit.suggestions import nearest, with_hint
from floe_monitor.registry.foreign_plugin import describe_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute.plugin import ComputePlugin

GROUP = "floe.computes"

_TEXTS = ("name", "version", "floe_api_version")
_METHODS = {
    # Required methods, with the number of arguments they are called with.
    "validate_connection": 1,
    "generate_dbt_profile": 1,
    "get_required_dbt_packages": 0,
    "get_resource_requirements": 1,
}
_OPTIONAL_METHODS = {"get_catalog_attachment_sql": 1, "get_config_schema": 0}
_API_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})(?:\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class PluginEntry:
    """One plugin as an entry point announces it, with the distribution it comes from.

    `plugin` is None exactly where `problem` says why it cannot be used. The one exception is
    `PluginRegistry.entries`: there a name claimed twice carries that as the problem of each claimant.
    """

    name: str
    distribution: str | None
    version: str | None
    """The distribution's version; the plugin has one of its own."""
    target: str
    """The entry point's value, `module:attribute`."""
    plugin: ComputePlugin[Any] | None
    problem: str | None

    @property
    def provenance(self) -> str:
        """`floe-monitor-duckdb 1.2.0`, for people."""
        return " ".join(part for part in (self.distribution, self.version) if part) or "unknown distribution"

    def lacking(self) -> list[str]:
        """What the distribution requires and is not installed, as it would be given to pip."""
        return missing_requirements(self.distribution) if self.distribution else []


def missing_requirements(distribution: str) -> list[str]:
    """By metadata alone: nothing is imported."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - 5 ms, for who asks what is missing

    missing = []
    for text in metadata.requires(distribution) or ():
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            installed = None
        if installed is None or not wanted.specifier.contains(installed, prereleases=True):
            wanted.marker = None
            missing.append(str(wanted))
    return missing


class PluginRegistry:
    """The plugins of one entry-point group as they were installed when it was made. Thread-safe."""

    def __init__(self, announced: list[metadata.EntryPoint]) -> None:
        self._slots = [_Slot(point) for point in announced]

    def get(self, name: str, distribution: str | None = None) -> PluginEntry:
        """The plugin of that name. Raises for no fault of one: the entry's `problem` says what is wrong."""
        claimants = [slot for slot in self._slots if slot.announced.name == name]
        if distribution is not None:
            wanted = canonicalize_name(distribution)
            picked = [slot for slot in claimants if slot.comes_from(wanted)]
        else:
            picked = claimants
        if len(picked) == 1:
            return picked[0].load()
        if not claimants:
            problem = self._missing(name)
        elif not picked:
            have = _listing([slot.announced.provenance for slot in claimants])
            problem = f"the plugin {name!r} of distribution {distribution!r} is not installed; {have} has one"
        else:
            problem = _ambiguous(name, [slot.announced for slot in picked])
        return PluginEntry(name, distribution, None, "", None, problem)

    def names(self) -> list[str]:
        """Every announced name, sorted, without importing anything."""
        return sorted({slot.announced.name for slot in self._slots})

    def entries(self) -> list[PluginEntry]:
        """Every announced plugin, loaded, sorted by name and distribution."""
        loaded = sorted(
            (slot.load() for slot in self._slots), key=lambda entry: (entry.name, entry.distribution or "")
        )
        result = []
        for entry in loaded:
            rivals = [other for other in loaded if other.name == entry.name]
            contested = len(rivals) > 1 and entry.problem is None
            result.append(replace(entry, problem=_ambiguous(entry.name, rivals)) if contested else entry)
        return result

    def _missing(self, name: str) -> str:
        problem = f"no plugin {name!r} is installed"
        from floe_monitor.registry.extras import installable_plugins  # noqa: PLC0415 - as above

        installable = installable_plugins()
        if name in installable:
            return f"{problem}: install {installable[name]}"
        names = self.names()
        near = nearest(name, {*names, *installable})
        if near in names:
            return with_hint(problem, near)
        if near is not None:
            return f"{with_hint(problem, near)} Then install {installable[near]}"
        return f"{problem}; installed: {', '.join(names) or 'none'}"


def discover(group: str = GROUP) -> PluginRegistry:
    """What is announced now; metadata is read, nothing imported. Unreadable distributions are passed over."""
    return PluginRegistry(list(_announced(group)))


class _Slot:
    """One entry point and, once asked for, what became of loading it."""

    def __init__(self, point: metadata.EntryPoint) -> None:
        self._point = point
        self._lock = threading.Lock()
        self._loaded: PluginEntry | None = None
        distribution = point.dist
        self.announced = PluginEntry(
            name=point.name,
            distribution=distribution.metadata["Name"] if distribution else None,
            version=distribution.metadata["Version"] if distribution else None,
            target=point.value,
            plugin=None,
            problem=None,
        )

    def comes_from(self, canonical: str) -> bool:
        distribution = self.announced.distribution
        return distribution is not None and canonicalize_name(distribution) == canonical

    def load(self) -> PluginEntry:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> PluginEntry:
        try:
            factory = self._point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an import runs anyone's code, SystemExit included
            return replace(self.announced, problem=f"cannot be imported: {describe_error(error)}")
        if not callable(factory):
            return replace(self.announced, problem=f"{self._point.value} is not a class")
        try:
            plugin = _instances.of(factory)
            problem = find_problem(plugin, self._point.name)
            if problem is None:
                _set_environment(plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a constructor runs anyone's code
            return replace(self.announced, problem=f"cannot be instantiated: {describe_error(error)}")
        if problem is not None:
            return replace(self.announced, problem=problem)
        return replace(self.announced, plugin=plugin)


class _Instances:
    """One of each class for as long as the process lives: a reload discovers anew, but a plugin's kept
    connections and calls under way go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Callable[[], Any], Any] = {}

    def of(self, factory: Callable[[], Any]) -> Any:
        if not isinstance(factory, type):
            return factory()  # a function may mean to give a new one each time
        with self._lock:
            if factory not in self._made:
                self._made[factory] = factory()
            return self._made[factory]


_instances = _Instances()


def _set_environment(plugin: Any) -> None:
    """What whoever runs the monitor has set for the driver stays."""
    for name, value in getattr(plugin, "process_environment", {}).items():
        os.environ.setdefault(name, value)


def find_problem(plugin: Any, name: str) -> str | None:
    """Why `plugin` cannot serve as the plugin called `name`; None where it can."""
    problems = (problem for problem in _problems(plugin, name) if problem is not None)
    return next(problems, None)


def _problems(plugin: Any, name: str) -> Iterator[str | None]:
    for attribute in _TEXTS:
        yield _attribute_problem(plugin, attribute, str)
    if plugin.name != name:
        yield f"it calls itself {plugin.name!r} but its entry point {name!r}"
    yield _version_problem(plugin.floe_api_version)
    yield _attribute_problem(plugin, "is_self_hosted", bool)
    yield _environment_problem(getattr(plugin, "process_environment", {}))
    for method, arguments in {**_METHODS, **_OPTIONAL_METHODS}.items():
        yield _method_problem(plugin, method, arguments, required=method in _METHODS)


def _attribute_problem(plugin: Any, attribute: str, kind: type) -> str | None:
    try:
        value = getattr(plugin, attribute)
    except AttributeError:
        return f"it has no `{attribute}`"
    except Exception as error:  # noqa: BLE001 - a property runs the plugin's code
        return f"its `{attribute}` raises {describe_error(error)}"
    if not isinstance(value, kind) or value == "":
        return f"its `{attribute}` is not a {kind.__name__}" if value != "" else f"its `{attribute}` is empty"
    return None


def _environment_problem(declared: Any) -> str | None:
    if isinstance(declared, Mapping) and all(
        isinstance(text, str) for pair in declared.items() for text in pair
    ):
        return None
    return "its `process_environment` is no mapping of names to texts"


def _version_problem(version: str) -> str | None:
    match = _API_VERSION.fullmatch(version)
    if match is None:
        return f"its floe_api_version {version!r} is not `major.minor`"
    ours = _API_VERSION.fullmatch(FLOE_API_VERSION)
    assert ours is not None  # noqa: S101 - a constant of this package
    major, minor = int(match[1]), int(match[2])
    if major != int(ours[1]) or minor > int(ours[2]):
        return f"it needs floe_api_version {version}; this is {FLOE_API_VERSION}"
    return None


def _method_problem(plugin: Any, method: str, arguments: int, *, required: bool) -> str | None:
    function = getattr(plugin, method, None)
    if function is None and not required:
        return None
    if not callable(function):
        return f"it has no method `{method}`"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return f"its `{method}` is a coroutine function; plugins are called from worker threads"
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None  # implemented in C: nothing to read
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        return f"its `{method}` does not take {arguments} argument{'' if arguments == 1 else 's'}"
    return None


def _announced(group: str) -> Iterator[metadata.EntryPoint]:
    seen: set[tuple[str, str]] = set()
    for distribution in metadata.distributions():
        try:
            points = distribution.entry_points.select(group=group)
            if not points:
                continue
            owner = distribution.metadata["Name"] or ""
            if owner and _shadowed(distribution, owner):
                continue
        except Exception:  # noqa: BLE001, S112 - unreadable metadata announces nothing
            continue
        for point in points:
            key = (canonicalize_name(owner), point.name)
            if not owner or key not in seen:
                seen.add(key)
                yield point


def _shadowed(distribution: metadata.Distribution, owner: str) -> bool:
    """Whether the same distribution lies earlier on the path: that one is what an import gets."""
    first = metadata.distribution(owner)
    return first.locate_file("") != distribution.locate_file("")


def _ambiguous(name: str, claimants: list[PluginEntry]) -> str:
    return (
        f"the plugin {name!r} is claimed by {_listing([entry.provenance for entry in claimants])}; "
        "pick one with the target's `distribution:` key"
    )


def _listing(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
