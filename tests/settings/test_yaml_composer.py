"""The one composer, through both of its users: the configuration's values, and places in a profiles.yml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floe_monitor.profiles.yaml_text import UnreadableTextError, locate
from floe_monitor.settings import ConfigurationError
from floe_monitor.settings.located_yaml import parse
from tests.growth import is_linear

if TYPE_CHECKING:
    from collections.abc import Callable

READERS: dict[str, Callable[[str], object]] = {
    "configuration": lambda text: parse(Path("c.yaml"), text.encode()),
    "profiles": locate,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 2\n", "second document"),
        ("[" * 100_000, "nested"),
        ("- " * 5000, "nested"),
        ("{b: " * 5000, "nested"),
        ("\n".join(" " * depth + "a:" for depth in range(500)), "nested"),
        ("password: *hunter2", "alias"),
    ],
)
def test_what_would_hurt_is_refused_and_quotes_nothing(reader: str, text: str, said: str) -> None:
    with pytest.raises((ConfigurationError, UnreadableTextError)) as caught:
        READERS[reader](text)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_aliases_are_written_out_for_values_and_kept_for_places() -> None:
    text = "a: &x [1, 2]\nb: *x\n"
    document = parse(Path("c.yaml"), text.encode())
    assert document.value == {"a": [1, 2], "b": [1, 2]}
    assert document.place(("b", 1)).line == 1
    root = locate(text).root
    assert root is not None
    assert [value.kind for _, value in root.entries] == ["sequence", "alias"]


def test_an_alias_within_what_it_means() -> None:
    """dbt reads such a file, so another profile in it may have one."""
    text = "a: &x [1, *x]\n"
    assert locate(text).root is not None
    with pytest.raises(ConfigurationError, match="contains itself"):
        parse(Path("c.yaml"), text.encode())


def test_aliases_of_aliases_end_at_a_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigurationError, match="too many values once its aliases are written out"):
        parse(Path("c.yaml"), "\n".join(lines).encode())
    assert locate("\n".join(lines)).root is not None


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "shape", ["- a\n", "- {a: [1, 2]}\n", "- &a x\n- *a\n", "- 'a''b'\n", '- "\\n"\n', "# \n"]
)
@pytest.mark.slow
def test_the_work_is_in_proportion_to_the_text(reader: str, shape: str) -> None:
    assert is_linear(READERS[reader], lambda size: "- x\n" + shape * (size // len(shape)), 20_000)
