"""Writes the pages of the public API, and turns the project's docstrings into what Sphinx reads.

Each public module of the packages that authors import from is on one of `PAGES` or, with the reason, in
`INTERNAL`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

FOLDER = Path(__file__).resolve().parents[1] / "api" / "reference"
"""Of the written pages, which git ignores."""


class Page(NamedTuple):
    name: str
    title: str
    modules: tuple[str, ...]
    """`package.*` stands for every public module of the package that is not `INTERNAL`."""
    inherited: bool = False
    """Whether a class shows what it inherits: for those that are assembled from private parts."""


PAGES = (
    Page("compute", "The plugin contract", ("floe_monitor.compute", "floe_monitor.compute.deadline")),
    Page("toolkit", "The toolkit", ("floe_monitor.compute.toolkit.*",)),
    Page(
        "testing",
        "The testing kit",
        ("floe_monitor.testing", "floe_monitor.testing.fault_proxy", "floe_monitor.testing.punctuality"),
        inherited=True,
    ),
)

PACKAGES = ("floe_monitor.compute", "floe_monitor.testing")
"""What plugins and their tests may import from."""

_PASSED_ON = "the package passes on what authors use of it, and has it on its page"
_DAEMON = "the daemon's own; it lies there because imports go down only"
_KIT = "the kit's own: how a conformance test does what it says"
INTERNAL = {
    "floe_monitor.compute.checks": _PASSED_ON,
    "floe_monitor.compute.errors": _PASSED_ON,
    "floe_monitor.compute.evidence": _PASSED_ON,
    "floe_monitor.compute.models": _PASSED_ON,
    "floe_monitor.compute.plugin": _PASSED_ON,
    "floe_monitor.compute.quantities": "the grammar by which `ResourceSpec` refuses a value",
    "floe_monitor.compute.redaction": "behind `Validation.hide`, which is what a plugin calls",
    "floe_monitor.compute.redaction.current": "behind `Validation.hide`, which is what a plugin calls",
    "floe_monitor.compute.redaction.detection": _DAEMON,
    "floe_monitor.compute.redaction.forms": "behind the redactor",
    "floe_monitor.compute.redaction.redactor": "behind `Validation.hide`, which is what a plugin calls",
    "floe_monitor.compute.redaction.views": "behind the redactor",
    "floe_monitor.compute.toolkit": "has modules alone",
    "floe_monitor.compute.toolkit.expression_sandbox": "behind `env_references`",
    "floe_monitor.compute.toolkit.process_state": _DAEMON,
    "floe_monitor.compute.toolkit.worker_thread": "behind `driver_thread`",
    "floe_monitor.compute.validation_messages": _DAEMON,
    "floe_monitor.testing.audit": _KIT,
    "floe_monitor.testing.control_process": "the process behind `punctuality`",
    "floe_monitor.testing.description": _PASSED_ON,
    "floe_monitor.testing.kept_connections": _PASSED_ON,
    "floe_monitor.testing.kit": _PASSED_ON,
    "floe_monitor.testing.network_faults": _PASSED_ON,
    "floe_monitor.testing.prober": _KIT,
    "floe_monitor.testing.process_state": _KIT,
    "floe_monitor.testing.shape": _PASSED_ON,
    "floe_monitor.testing.silent_names": _KIT,
    "floe_monitor.testing.validation": _PASSED_ON,
}
"""Modules that are on no page, and why."""


# ---------------------------------------------------------------- what is public


def modules_of(page: Page) -> Iterator[str]:
    for name in page.modules:
        package = name.removesuffix(".*")
        if package == name:
            yield name
            continue
        path = importlib.import_module(package).__path__
        below = (f"{package}.{each.name}" for each in pkgutil.iter_modules(path) if each.name[0] != "_")
        yield from (module for module in below if module not in INTERNAL)


def modules_below(package: str) -> Iterator[str]:
    """The package and every public module in it, at any depth."""
    yield package
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    yield from (each.name for each in found if not any(part[0] == "_" for part in each.name.split(".")))


def public_names(module_name: str) -> list[str]:
    """What a module offers: its `__all__`, or the classes, functions and constants that it defines itself."""
    module = importlib.import_module(module_name)
    if hasattr(module, "__all__"):
        return list(module.__all__)
    names: list[str] = []
    for node in _statements(module_name):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        names += _assigned(node)
    return [name for name in dict.fromkeys(names) if name[0] != "_"]  # overloads have one name


def documented() -> Iterator[tuple[Page, str, str]]:
    """Page, module and name of everything public; what two modules offer, at the first of them."""
    seen: set[int] = set()
    for page in PAGES:
        for module in modules_of(page):
            for name in public_names(module):
                value = getattr(importlib.import_module(module), name)
                if inspect.isclass(value) or inspect.isroutine(value):
                    if id(value) in seen:
                        continue
                    seen.add(id(value))
                yield page, module, name


def _statements(module_name: str) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(importlib.import_module(module_name))).body


def _assigned(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def comment_on(module_name: str, name: str) -> str:
    """The string below a constant, also where the module only passes the constant on; empty for none."""
    statements = _statements(module_name)
    for node, following in zip(statements, [*statements[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ImportFrom) and node.module and name in {each.name for each in node.names}:
            return comment_on(node.module, name)
        if name in _assigned(node):
            match following:
                case ast.Expr(value=ast.Constant(value=str() as text)):
                    return inspect.cleandoc(text)
    return ""


# ---------------------------------------------------------------- pages


def write_pages(app: Sphinx) -> None:  # noqa: ARG001 - as Sphinx calls it
    FOLDER.mkdir(exist_ok=True)
    # All are imported before autodoc reads one: it changes the annotations of a pydantic model that it
    # documents, and no other model can derive from that afterwards.
    written = {FOLDER / f"{page.name}.md": rendered(page) for page in PAGES}
    for stale in {*FOLDER.glob("*.md")} - set(written):
        stale.unlink()
    for path, text in written.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def rendered(page: Page) -> str:
    parts = [f"# {page.title}"]
    for module in modules_of(page):
        names = [name for at, owner, name in documented() if (at, owner) == (page, module)]
        entries = [entry(module, name, page.inherited) for name in names]
        directives = "\n\n".join([f".. automodule:: {module}\n   :no-members:", *entries])
        parts.append(f"## `{module}`\n\n```{{eval-rst}}\n{directives}\n```")
    return "\n\n".join(parts) + "\n"


def entry(module: str, name: str, inherited: bool) -> str:
    """Each by name: `automodule` leaves out constants that a package passes on."""
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        option = "\n   :inherited-members: object, Enum" if inherited else ""
        return f".. auto{kind}:: {module}.{name}{option}"
    if inspect.isroutine(value):
        return f".. autofunction:: {module}.{name}"
    comment = "\n".join(to_restructured_text(comment_on(module, name).splitlines()))
    return f".. py:data:: {name}\n\n{textwrap.indent(comment, '   ')}"


# ---------------------------------------------------------------- what autodoc finds


def to_restructured_text(lines: list[str]) -> list[str]:
    """Docstrings have Markdown's single backticks, and examples as indented blocks after a blank line."""
    found: list[str] = []
    for block in re.split(r"\n{2,}", "\n".join(lines).rstrip()):
        if not re.search(r"^(?! {4})", block, re.MULTILINE):
            if not (found and found[-1].startswith(".. code-block")):
                found.append(".. code-block:: python")
            found[-1] += "\n\n" + block
        else:
            found.append(re.sub(r"(?<!`)`([^`]+)`(?!`)(?=(\w?))", _literal, block))
    return ["", *"\n\n".join(found).splitlines(), ""]


def _literal(match: re.Match[str]) -> str:
    """reStructuredText wants a mark where a word goes on after a literal."""
    return f"``{' '.join(match[1].split())}``" + ("\\ " if match[2] else "")


def convert_docstring(
    app: Sphinx,  # noqa: ARG001
    what: str,  # noqa: ARG001
    name: str,
    value: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    lines: list[str],
) -> None:
    if not name.startswith("floe_monitor"):
        return
    owner, _, field = name.rpartition(".")
    module, _, class_name = owner.rpartition(".")
    model = getattr(importlib.import_module(module), class_name, None) if module else None
    if not lines and inspect.isclass(model) and issubclass(model, BaseModel) and field in model.model_fields:
        lines.append(model.model_fields[field].description or "")
    lines[:] = to_restructured_text(lines)


def hide_private_bases(
    app: Sphinx,  # noqa: ARG001
    name: str,  # noqa: ARG001
    value: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    bases: list[type],
) -> None:
    """A base that is not documented itself says nothing to a reader."""
    known = [getattr(importlib.import_module(module), public) for _, module, public in documented()]
    ours = [base for base in bases if str(getattr(base, "__module__", "")).startswith("floe_monitor")]
    bases[:] = [base for base in bases if base not in ours or base in known] or [object]


def shorten_signature(
    app: Sphinx,  # noqa: ARG001
    what: str,
    name: str,  # noqa: ARG001
    value: object,
    options: object,  # noqa: ARG001
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """A model's signature repeats its fields, with the markup of their constraints."""
    if what == "class" and inspect.isclass(value) and issubclass(value, BaseModel):
        return "(**fields)", None
    return signature, returned


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-bases", hide_private_bases)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", convert_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
