"""Import every module of the packages of this interpreter; print in JSON how many were, and what was missing.

What is missing of a package that is not there at all is an optional one's, and does not count.
`deploy.containers` has an image's interpreter run this text, which needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sysconfig
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def modules(packages: Path) -> Iterator[str]:
    """Programs (`__main__`) and what is no name, as scripts of migrations, left out."""
    for path in sorted(packages.rglob("*.py")):
        parts = path.relative_to(packages).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if all(each.isidentifier() for each in parts) and parts[-1:] != ("__main__",):
            yield ".".join(parts)


def imported(packages: Path) -> tuple[int, dict[str, str]]:
    """How many could be; and what is not there, though the rest of its package is, by who wants it."""
    count, missing = 0, {}
    for name in modules(packages):
        try:
            importlib.import_module(name)
            count += 1
        except Exception as error:  # noqa: BLE001 - whatever a module raises that is not for here
            for each in chain(error):
                first = ((isinstance(each, ImportError) and each.name) or "").partition(".")[0]
                if first and ((packages / first).exists() or (packages / f"{first}.py").exists()):
                    missing[name] = str(each)
    return count, missing


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        count, missing = imported(Path(sysconfig.get_path("purelib")))
    print(json.dumps({"imported": count, "missing": missing}))
