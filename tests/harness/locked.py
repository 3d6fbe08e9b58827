"""Marks for tests of what another distribution words: its words are those of the version that is locked."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

_LOCK = Path(__file__).parents[2] / "requirements" / "dev.lock"


def needs_locked(*distributions: str) -> pytest.MarkDecorator:
    """Skips where another version of one of them is installed, as with `make test-lowest`."""
    others = [name for name in distributions if metadata.version(name) != _locked()[canonicalize_name(name)]]
    return pytest.mark.skipif(bool(others), reason=f"not the locked version: {', '.join(others)}")


@cache
def _locked() -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", _LOCK.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}
