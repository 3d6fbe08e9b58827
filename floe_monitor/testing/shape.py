"""What a plugin is: its identity, its methods, and what importing it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from floe_monitor.compute.errors import ComputeConfigurationError
from floe_monitor.registry.discovery import discover, find_problem
from floe_monitor.testing.kit import Kit, fault, for_profile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.testing.kit import Given

_PARAMETERS = {
    "validate_connection": "config",
    "generate_dbt_profile": "config",
    "get_catalog_configs": "config",
    "get_resource_requirements": "workload_size",
    "get_catalog_attachment_sql": "catalog_config",
    "import_dbt_output": "output",
}

_IMPORTING = """
import json, sys, threading
name, distribution, drivers, sys.path[:] = json.loads(sys.argv[1])
import pydantic
from importlib.metadata import entry_points
from floe_monitor.registry.discovery import GROUP, discover
from floe_monitor.testing.audit import watching
from floe_monitor.testing.process_state import changes, process_state
points = entry_points(group=GROUP, name=name)
point = next(one for one in points if distribution is None or one.dist.name == distribution)
before, modules = process_state(), set(sys.modules)
# The state alone would miss a variable that is set already, by whoever started this process.
with watching({"os.putenv", "os.unsetenv"}, this_thread_only=False) as seen:
    point.load()()
changed = changes(before, process_state()) or (["the environment"] if seen else [])
loaded = [driver for driver in drivers if driver in sys.modules and driver not in modules]
entry = discover().get(name, distribution)
threads = [thread.name for thread in threading.enumerate()][1:]
print("\\n" + json.dumps([entry.problem, loaded, threads, changed]))
"""


class ShapeConformance(Kit):
    def test_identity(self, plugin: ComputePlugin[Any]) -> None:
        problem = find_problem(plugin, str(getattr(plugin, "name", "")))
        if problem:
            fault(f"the daemon would refuse the plugin: {problem}")
        name = plugin.name
        if name != name.lower() or not name.replace("-", "").replace("_", "").isalnum():
            fault(f"name {name!r}: lower-case letters, digits, '-' and '_' only; it is a label value")
        try:
            Version(plugin.version)
        except InvalidVersion:
            fault(f"version {plugin.version!r} is no version number")
        wanted: dict[str, tuple[type, ...]] = {
            "db_system_name": (str,),
            "description": (str,),
            "dependencies": (list,),
            "tracer_name": (str, type(None)),
        }
        for attribute, kinds in wanted.items():
            if not isinstance(getattr(plugin, attribute, None), kinds):
                fault(f"`{attribute}` is missing or of the wrong type")
        if plugin.default_isolation not in {"thread", "process"}:
            fault(f"default_isolation is {plugin.default_isolation!r}: thread or process")
        if not plugin.db_system_name or plugin.db_system_name != plugin.db_system_name.lower():
            fault(f"db_system_name {plugin.db_system_name!r} is not one of OpenTelemetry's lower-case words")

    def test_identity_is_constant(self, plugin: ComputePlugin[Any]) -> None:
        twin = type(plugin)()
        for attribute in ("name", "version", "floe_api_version", "is_self_hosted", "default_isolation"):
            first, second = getattr(plugin, attribute), getattr(twin, attribute)
            if first != second or first != getattr(plugin, attribute):
                fault(f"`{attribute}` changes between readings or instances")

    def test_credential_keys_are_declared(
        self, plugin: ComputePlugin[Any], config: ComputeConfig, broken_configs: Mapping[str, Given]
    ) -> None:
        """What is not declared cannot be distinguished from a misspelt key."""
        declared: Any = getattr(plugin, "credential_keys", ())
        if isinstance(declared, str) or not all(isinstance(key, str) and key for key in declared):
            fault("`credential_keys` is no sequence of keys")
        used = {key for each in (config, *self._built(plugin, broken_configs)) for key in each.credentials}
        for key in sorted(used):
            if not any(fnmatchcase(key, pattern) for pattern in declared):
                fault(f"credential {key!r} is used and not among `credential_keys`: {list(declared)}")

    def test_adapter_type_is_the_profiles(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        declared = getattr(plugin, "adapter_type", "") or plugin.name
        try:
            written = plugin.generate_dbt_profile(for_profile(plugin, config)).get("type")
        except ComputeConfigurationError:
            return  # another test reports it
        if written != declared:
            fault(f"the profile's type is {written!r}; declare `adapter_type = {written!r}`")

    def test_is_registered(self, plugin: ComputePlugin[Any]) -> None:
        entry = discover().get(plugin.name, self.distribution)
        if entry.plugin is None:
            fault(f"discovery by entry point: {entry.problem}")
        if type(entry.plugin) is not type(plugin):
            fault(f"the entry point {entry.target!r} of {entry.provenance} leads to another class")

    def test_methods_can_be_called_by_keyword(self, plugin: ComputePlugin[Any]) -> None:
        for method, parameter in _PARAMETERS.items():
            function = getattr(plugin, method, None)
            if function is None:
                continue
            if inspect.iscoroutinefunction(function):
                fault(f"`{method}` is a coroutine function; plugins are called from worker threads")
            try:
                inspect.signature(function).bind(**{parameter: None})
            except TypeError as error:
                fault(f"`{method}({parameter}=…)`: {error}")

    def test_lifecycle_hooks_of_the_upstream_registry(self, plugin: ComputePlugin[Any]) -> None:
        twin: Any = type(plugin)()
        for hook, arguments in (("configure", (None,)), ("startup", ()), ("shutdown", ())):
            try:
                getattr(twin, hook)(*arguments)
            except Exception as error:  # noqa: BLE001 - the plugin's code
                fault(f"`{hook}` raised {type(error).__name__}: {error}")

    def test_importing_is_cheap_and_silent(self, plugin: ComputePlugin[Any], tmp_path: Path) -> None:
        drivers = getattr(self, "driver_modules", None)
        if drivers is None:
            fault("give `driver_modules`, the modules of the plugin's driver; () where it has none")
        argument = json.dumps([plugin.name, self.distribution, list(drivers), [p for p in sys.path if p]])
        done = subprocess.run(
            [sys.executable, "-c", _IMPORTING, argument],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
        if done.returncode:
            fault(f"importing the plugin in a fresh interpreter failed:\n{done.stderr[-2000:]}")
        printed, _, last = done.stdout.rstrip("\n").rpartition("\n")
        problem, loaded, threads, changed = json.loads(last)
        if problem:
            fault(f"in a fresh interpreter: {problem}")
        if loaded:
            fault(f"importing the plugin imports its driver ({', '.join(loaded)}): import it in the methods")
        if threads:
            fault(f"importing the plugin starts threads: {', '.join(threads)}")
        if changed:
            fault(f"importing and constructing the plugin changes {', '.join(changed)} of the process")
        if printed.strip() or done.stderr.strip():
            fault(f"importing the plugin prints: {(printed.strip() or done.stderr.strip())[:200]!r}")
