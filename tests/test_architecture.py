"""What the contracts of import-linter do not say: cycles of modules, names, sizes, and what loads late."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp
import pytest

REPOSITORY = Path(__file__).parents[1]
PLUGINS = sorted(path for path in (REPOSITORY / "plugins").glob("*/floe_monitor_*") if path.is_dir())


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
    root = REPOSITORY / "floe_monitor"
    assert [
        name for name in named if not name.startswith("floe_monitor/") and not (root / name).exists()
    ] == []


def test_modules_stay_small() -> None:
    """One responsibility each. The limit is above the habit (250), so that no line is saved for its sake."""
    sources = [*(REPOSITORY / "floe_monitor").rglob("*.py"), *(p for d in PLUGINS for p in d.rglob("*.py"))]
    long = {
        str(p.relative_to(REPOSITORY)): n for p in sources if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}
