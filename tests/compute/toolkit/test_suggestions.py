from __future__ import annotations

from floe_monitor.compute.toolkit.suggestions import nearest, suggestion


def test_the_nearest_word_whatever_its_case() -> None:
    assert nearest("INTERVALL", ["timeout", "Interval"]) == "Interval"
    assert nearest("x", ["timeout"]) is None
    assert nearest("tim", ["timeout"], cutoff=0.5) == "timeout"
    assert nearest("anything", []) is None


def test_without_a_near_word_all_are_named() -> None:
    assert suggestion("pth", ["path", "port"]) == "did you mean 'path'?"
    assert suggestion("zzz", ["path", "alias"]) == "known: alias, path"
    assert suggestion("zzz", []) == ""
    many = [f"target_{number:04}" for number in range(1_000)]
    assert suggestion("zzz", many) == f"known: {', '.join(many[:40])} …"


def test_a_long_word_costs_no_more_than_a_short_one() -> None:
    """Comparing is quadratic: a word of 200 KB would take minutes."""
    word = "abcdefgh" * 25_000
    assert nearest(word, [word[:120]]) == word[:120]
