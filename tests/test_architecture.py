"""What the contracts of import-linter do not say: cycles of modules, names, sizes, and what loads late."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
import pytest

from floe_monitor.registry.discovery import GROUP
from floe_monitor.registry.extras import installable_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
PLUGINS = sorted(path for path in (REPOSITORY / "plugins").glob("*/floe_monitor_*") if path.is_dir())
SEEDS_MODEL = "DuckDBComputeConfig"
"""Stays importable as the seed has it."""


def _imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.parent.name)
def test_plugins_import_the_contract_and_nothing_else_of_the_project(package: Path) -> None:
    for path in package.rglob("*.py"):
        for name in _imports(ast.parse(path.read_text())):
            if name.split(".")[0] == "floe_monitor":
                assert name.startswith("floe_monitor.compute"), f"{path.name} imports {name}"


@pytest.mark.process
@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.parent.name)
def test_importing_a_plugin_loads_nothing_heavy(package: Path) -> None:
    """Only the standard library, pydantic and the contract: a driver loads when a target needs it."""
    code = (
        "import sys\n"
        "import floe_monitor.compute, pydantic, pydantic.v1\n"
        "before = set(sys.modules)\n"
        f"import {package.name}\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        f"print(*sorted(new - set(sys.stdlib_module_names) - {{'floe_monitor', '{package.name}'}}))\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(loaded.stdout.split()) <= {"pydantic_core", "annotated_types", "typing_extensions"}


@pytest.mark.parametrize("package", ["floe_monitor", *(package.name for package in PLUGINS)])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    """Imports under TYPE_CHECKING and inside functions count too: whoever reads a module must follow them."""
    graph = grimp.build_graph(package, cache_dir=None)
    assert len(graph.modules) > 5
    cyclic = [
        f"{module} -> {imported}"
        for module in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(module))
        if module in graph.find_upstream_modules(imported)
    ]
    assert cyclic == []


def test_a_module_is_found_by_its_name() -> None:
    """Twice at most: `models` of the contract and of the settings. Three say that a name says too little."""
    names = Counter(
        path.stem for path in (REPOSITORY / "floe_monitor").rglob("*.py") if path.stem != "__init__"
    )
    assert [name for name, count in names.items() if count > 2] == []


def test_the_architecture_page_is_true() -> None:
    """Its layers are those of the contract, and what it names exists."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["containers"] == ["floe_monitor"])
    block = text.split("```")[1].strip().splitlines()
    assert [line.split("  ")[0].replace("│", "|") for line in block] == layers
    named = re.findall(r"`([a-z_]+/[a-z_/.]+)`", text.split("```")[2])
    assert len(named) > 10
    roots = REPOSITORY / "floe_monitor", REPOSITORY
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def _engine_names() -> set[str]:
    """Of the engines whose plugins are ours: as entry points, dbt and OpenTelemetry call them."""
    ours = set(installable_plugins().values())
    points = [point for point in entry_points(group=GROUP) if point.dist and point.dist.name in ours]
    plugins = [point.load()() for point in points]
    return {
        name.lower()
        for point, plugin in zip(points, plugins, strict=True)
        for name in (point.name, plugin.adapter_type, plugin.db_system_name)
        if name
    }


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier and string in the tree, with its line; docstrings and the seed's model apart."""
    if isinstance(node, ast.ClassDef) and node.name == SEEDS_MODEL:
        return
    for name, value in ast.iter_fields(node):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                continue  # a docstring
            if isinstance(item, ast.AST):
                yield from _texts(item)
            elif isinstance(item, str | bytes) and name != "type_comment":
                text = item if isinstance(item, str) else item.decode("latin-1")
                yield getattr(node, "lineno", 0), text.replace(SEEDS_MODEL, "")


def _named(engines: set[str], source: str) -> list[str]:
    found = _texts(ast.parse(source))
    return [f"{line}: {text}" for line, text in found if any(name in text.lower() for name in engines)]


def test_the_monitor_names_no_engine() -> None:
    """Adding one touches nothing there: what differs between engines is declared by their plugins."""
    engines = _engine_names()
    assert {path.parent.name for path in PLUGINS} <= engines
    found = {
        str(path.relative_to(REPOSITORY)): named
        for path in (REPOSITORY / "floe_monitor").rglob("*.py")
        if (named := _named(engines, path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "if plugin.name == 'duckdb': pass",
        "match name:\n    case 'duckdb': pass",
        "SYSTEMS = {'postgres': 'postgresql'}",
        "from floe_monitor_spark import x",
        "import floe_monitor_spark as engine",
        "def is_snowflake(): pass",
        "call(bigquery=1)",
        "target.duckdb.path",
        "f'try floe-monitor-duckdb {x}'",
        "HEAD = b'SNOWFLAKE'",
        "try: pass\nexcept E as spark: pass",
        "class DuckDBOther: pass",
    ],
)
def test_a_name_of_an_engine_is_found_wherever_it_stands(source: str) -> None:
    assert _named(_engine_names(), source)


def test_docstrings_and_the_seeds_model_may_name_engines() -> None:
    source = (
        f'"""As DuckDB does."""\nclass {SEEDS_MODEL}:\n    plugin = "duckdb"\n__all__ = ["{SEEDS_MODEL}"]\n'
    )
    assert _named(_engine_names(), source) == []


def test_modules_stay_small() -> None:
    """One responsibility each. The limit is above the habit (250), so that no line is saved for its sake."""
    rooms = ("floe_monitor", "conformance", "deploy", "benchmarks", "docs")
    packages = [*(REPOSITORY / room for room in rooms), *PLUGINS]
    sources = [path for package in packages for path in package.rglob("*.py")]
    long = {
        str(p.relative_to(REPOSITORY)): n for p in sources if (n := len(p.read_text().splitlines())) > 350
    }
    assert long == {}
