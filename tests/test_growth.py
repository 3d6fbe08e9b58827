"""The measure of growth tells quadratic work from work in proportion."""

from __future__ import annotations

import pytest

from tests.growth import is_linear


def make(size: int) -> str:
    return "a" * size


@pytest.mark.slow
def test_work_in_proportion() -> None:
    assert is_linear(lambda text: [character.upper() for character in text], make, 200_000)


@pytest.mark.gate
@pytest.mark.slow
def test_quadratic_work() -> None:
    assert not is_linear(lambda text: [text.count("b") for _ in text], make, 24_000)
