"""Each worker rewrites a part of the test modules, as pytest would have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _pytest.assertion import rewrite

from tests.harness.rewriting import rewrite_module

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_pytest_takes_what_is_kept_until_the_source_changes(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    module = tmp_path / "test_it.py"
    kept = rewrite.get_cache_dir(module) / f"test_it{rewrite.PYC_TAIL}"
    for source in ("def test_it(): assert 1 == 1", "def test_it(): assert 22 == 22"):
        module.write_text(source)
        assert rewrite._read_pyc(module, kept) is None
        kept.unlink(missing_ok=True)  # its time may be the same as that of the source
        rewrite_module(module, pytestconfig)
        code = rewrite._read_pyc(module, kept)
        assert code
        assert "@pytest_ar" in code.co_names


def test_one_that_cannot_be_read_is_left_to_the_collection(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    module = tmp_path / "test_it.py"
    rewrite_module(module, pytestconfig)
    module.write_text("def (")
    rewrite_module(module, pytestconfig)
    assert not (tmp_path / "__pycache__").exists()
