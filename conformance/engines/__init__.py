"""The engines there are cases for, by name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.cases import Engine


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Engine:
    engine: Engine = importlib.import_module(f"{__name__}.{name}").ENGINE
    return engine


def unavailable(name: str) -> str | None:
    """Why its servers cannot be had on this machine."""
    asked = load(name).unavailable
    return None if asked is None else asked()
