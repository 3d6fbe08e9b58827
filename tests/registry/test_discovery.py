"""Discovery over real distributions on the import path."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus
from floe_monitor.registry.discovery import PluginRegistry, discover, find_problem

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "test.computes"


def registry() -> PluginRegistry:
    return discover(GROUP)


def test_a_plugin_is_found_with_its_provenance(site: Any) -> None:
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")}, "2.5", GROUP)
    entry = registry().get("toy")
    assert (entry.name, entry.distribution, entry.version) == ("toy", "acme-toy", "2.5")
    assert entry.target == "acme_toy:Plugin"
    assert entry.problem is None
    assert entry.plugin is not None
    assert entry.plugin.validate_connection(None).status is ConnectionStatus.HEALTHY
    assert entry.provenance == "acme-toy 2.5"


def test_discovery_imports_nothing_and_get_imports_once(site: Any) -> None:
    site.module("acme_count", "import sys\nsys.acme_count = getattr(sys, 'acme_count', 0) + 1\nPlugin = None")
    site.distribution("acme-count", {"count": "acme_count:Plugin"}, group=GROUP)
    found = registry()
    assert found.names() == ["count"]
    assert "acme_count" not in sys.modules
    threads = [threading.Thread(target=found.get, args=("count",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.__dict__.pop("acme_count") == 1
    assert found.get("count") is found.get("count")


def test_what_a_distribution_requires_and_is_not_there(site: Any, tmp_path: Path) -> None:
    site.distribution("acme-poor", {"poor": site.plugin("acme_poor", "poor")}, group=GROUP)
    metadata = next(found for found in tmp_path.rglob("METADATA") if "acme" in found.parent.name)
    wanted = [
        "no-such-driver[fast]>=3",
        "anyio>=999",
        "anyio",
        'tea; extra == "x"',
        'old; python_version < "3"',
    ]
    lines = [metadata.read_text().rstrip(), *(f"Requires-Dist: {text}" for text in wanted), ""]
    metadata.write_text("\n".join(lines))
    assert registry().get("poor").lacking() == ["no-such-driver[fast]>=3", "anyio>=999"]


def test_a_plugin_outlives_the_discovery_that_made_it(site: Any) -> None:
    """A reload discovers anew; what a plugin keeps must not be left behind with a former instance."""
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")}, group=GROUP)
    assert registry().get("toy").plugin is registry().get("toy").plugin


@pytest.mark.process
def test_the_environment_that_a_driver_needs_is_set_where_it_is_unset(site: Any, run_python: Any) -> None:
    value = site.plugin("acme_toy", "toy")
    module = site.path / "acme_toy.py"
    module.write_text(
        f"{module.read_text()}\nPlugin.process_environment = {{'ACME_QUIET': 'yes', 'HOME': '/no'}}\n"
    )
    site.distribution("acme-toy", {"toy": value}, group=GROUP)
    script = """
        import json, os, sys
        from floe_monitor.registry.discovery import discover
        before = dict(os.environ)
        registry = discover(sys.argv[1])
        made = type(registry.get("toy").plugin) if len(sys.argv) > 2 else __import__("acme_toy").Plugin
        made()
        print(json.dumps({name: value for name, value in os.environ.items() if before.get(name) != value}))
    """
    assert run_python(script, GROUP, path=site.path) == {}
    assert run_python(script, GROUP, "loaded", path=site.path) == {"ACME_QUIET": "yes"}


@pytest.mark.parametrize("declared", ["'A=1'", "{'A': 1}", "{'A=B': 'C'}", "None"])
def test_an_environment_that_is_none_is_a_problem(site: Any, declared: str) -> None:
    value = site.plugin("acme_toy", "toy")
    module = site.path / "acme_toy.py"
    module.write_text(f"{module.read_text()}\nPlugin.process_environment = {declared}\n")
    site.distribution("acme-toy", {"toy": value}, group=GROUP)
    entry = registry().get("toy")
    assert entry.plugin is None
    assert entry.problem is not None
    assert "process_environment" in entry.problem or "environment variable name" in entry.problem


BROKEN = {
    "raises": (
        "raise RuntimeError('half\\x1b[31m\\ninstalled')",
        "cannot be imported: RuntimeError: half installed",
    ),
    "exits": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
    "missing_driver": ("import no_such_driver", "No module named 'no_such_driver'"),
    "no_attribute": ("", "cannot be imported: AttributeError"),
    "not_a_class": ("Plugin = 3", "is not a class"),
    "wants_arguments": (
        "class Plugin:\n    def __init__(self, config): ...",
        "cannot be instantiated: TypeError",
    ),
    "nothing": ("class Plugin: ...", "it has no `name`"),
    "abstract": (
        "from floe_monitor.compute import ComputePlugin\nclass Plugin(ComputePlugin):\n    name = 'abstract'",
        "cannot be instantiated: TypeError: Can't instantiate abstract class Plugin",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_says_what_is_wrong_and_hurts_nobody(site: Any, name: str) -> None:
    source, problem = BROKEN[name]
    site.module("acme_broken", source)
    site.distribution("acme-broken", {name: "acme_broken:Plugin"}, group=GROUP)
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")}, group=GROUP)
    found = registry()
    entries = {entry.name: entry for entry in found.entries()}
    assert problem in (entries[name].problem or "")
    assert entries[name].plugin is None
    assert entries[name].distribution == "acme-broken"
    assert entries["toy"].problem is None
    assert found.get("toy").plugin is not None


class Shape:
    """No base class of ours: what counts is what it has."""

    name = "shape"
    version = "0.1"
    floe_api_version = "1.0"
    is_self_hosted = False

    def validate_connection(self, config: Any) -> Any: ...
    def generate_dbt_profile(self, config: Any) -> Any: ...
    def get_required_dbt_packages(self) -> Any: ...
    def get_resource_requirements(self, workload_size: str) -> Any: ...


def test_shape_is_enough() -> None:
    assert find_problem(Shape(), "shape") is None


async def _coroutine(config: Any) -> None: ...


def _raising(_: object) -> str:
    raise ValueError("not configured")


@pytest.mark.parametrize(
    ("attribute", "value", "problem"),
    [
        ("name", "other", "it calls itself 'other' but its entry point 'shape'"),
        ("name", "", "its `name` is empty"),
        ("name", 7, "its `name` is not a str"),
        ("version", property(_raising), "its `version` raises ValueError: not configured"),
        ("floe_api_version", "2.0", "it needs floe_api_version 2.0; this is 1.0"),
        ("floe_api_version", "1.1", "it needs floe_api_version 1.1; this is 1.0"),
        ("floe_api_version", "0.9", "it needs floe_api_version 0.9"),
        ("floe_api_version", "latest", "is not `major.minor`"),
        ("is_self_hosted", None, "its `is_self_hosted` is not a bool"),
        ("validate_connection", None, "it has no method `validate_connection`"),
        ("validate_connection", staticmethod(_coroutine), "is a coroutine function"),
        ("generate_dbt_profile", staticmethod(object), "does not take 1 argument"),
        ("get_required_dbt_packages", ["dbt-x"], "it has no method `get_required_dbt_packages`"),
        ("get_config_schema", 3, "it has no method `get_config_schema`"),
    ],
)
def test_each_part_of_the_shape_is_required(attribute: str, value: object, problem: str) -> None:
    plugin = type("Odd", (Shape,), {attribute: value})()
    assert problem in (find_problem(plugin, "shape") or "")


@pytest.mark.parametrize("version", ["1.0", "1.0.7"])
def test_compatible_versions(version: str) -> None:
    assert find_problem(type("Old", (Shape,), {"floe_api_version": version})(), "shape") is None


def test_a_name_claimed_twice_is_refused_until_one_is_picked(site: Any) -> None:
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy", "acme")}, "1.1", GROUP)
    site.distribution("Other.Toy", {"toy": site.plugin("other_toy", "toy", "other")}, "2.2", GROUP)
    found = registry()
    entry = found.get("toy")
    assert entry.plugin is None
    for part in ("acme-toy 1.1", "Other.Toy 2.2", "`distribution:`"):
        assert part in (entry.problem or "")
    picked = found.get("toy", "other-toy").plugin
    assert picked is not None
    assert picked.validate_connection(None).message == "other"
    absent = found.get("toy", "third-toy")
    assert absent.plugin is None
    assert "acme-toy 1.1 and Other.Toy 2.2" in (absent.problem or "")
    listed = found.entries()
    assert [entry.distribution for entry in listed] == ["Other.Toy", "acme-toy"]
    assert all("claimed by" in (entry.problem or "") for entry in listed)


def test_one_of_two_claimants_being_broken_does_not_decide(site: Any) -> None:
    site.module("broken_toy", "raise RuntimeError")
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")}, group=GROUP)
    site.distribution("broken-toy", {"toy": "broken_toy:Plugin"}, group=GROUP)
    assert "claimed by" in (registry().get("toy").problem or "")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("snowflake", "no plugin 'snowflake' is installed: install floe-monitor-snowflake"),
        ("snowflkae", "did you mean 'snowflake'? Then install floe-monitor-snowflake"),
        ("tooy", "no plugin 'tooy' is installed; did you mean 'toy'?"),
        ("quite_other", "no plugin 'quite_other' is installed; installed: toy"),
    ],
)
def test_a_missing_plugin_says_what_to_install(site: Any, name: str, problem: str) -> None:
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")}, group=GROUP)
    entry = registry().get(name)
    assert entry.plugin is None
    assert problem in (entry.problem or "")


def test_nothing_installed() -> None:
    assert registry().get("quite_other").problem == "no plugin 'quite_other' is installed; installed: none"


def test_unreadable_metadata_hides_nobody_else(site: Any) -> None:
    info = site.distribution("acme-torn", {"torn": "x:y"}, group=GROUP)
    (info / "entry_points.txt").write_bytes(b"\xff\xfe[broken")
    nameless = site.distribution(
        "acme-nameless", {"nameless": site.plugin("nameless", "nameless")}, group=GROUP
    )
    (nameless / "METADATA").unlink()
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")}, group=GROUP)
    found = registry()
    assert found.get("toy").plugin is not None
    assert found.get("nameless").plugin is not None
    assert found.get("nameless").provenance == "unknown distribution"


def test_what_an_earlier_path_shadows_is_no_second_claimant(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = site.plugin("acme_toy", "toy")
    site.distribution("acme-toy", {"toy": target}, "1.0", GROUP)
    earlier = type(site)(tmp_path / "earlier")
    earlier.path.mkdir()
    earlier.distribution("acme-toy", {"toy": target}, "2.0", GROUP)
    monkeypatch.syspath_prepend(str(earlier.path))
    entry = registry().get("toy")
    assert entry.problem is None
    assert entry.version == "2.0"


@pytest.mark.process
def test_importing_the_loader_imports_no_plugin(run_python: Any, site: Any) -> None:
    """In a fresh interpreter, with every plugin of this environment installed."""
    loaded = run_python(
        """
        import json, sys
        from floe_monitor.registry.discovery import discover
        discover().names()
        print(json.dumps([name for name in sys.modules if name.startswith(("floe_monitor_", "duckdb"))]))
        """
    )
    assert loaded == []


@pytest.mark.process
def test_a_plugin_that_ends_the_interpreter_at_import_is_an_entry(run_python: Any, site: Any) -> None:
    site.module("acme_exit", "import sys\nprint('bye')\nsys.exit(0)")
    site.distribution("acme-exit", {"exits": "acme_exit:Plugin"}, group=GROUP)
    problem = run_python(
        f"""
        import json
        from floe_monitor.registry.discovery import discover
        print(json.dumps(discover({GROUP!r}).get("exits").problem))
        """,
        path=site.path,
    )
    assert problem == "cannot be imported: SystemExit: 0"
