"""The YAML reader: PyYAML's values, stricter, bounded, and with places."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.settings import ConfigurationError
from floe_monitor.settings.located_yaml import MAX_BYTES, parse, read_bytes
from floe_monitor.settings.yaml_scalars import scalar

FILE = Path("c.yaml")


def value_of(text: str) -> Any:
    return parse(FILE, text.encode()).value


def fault_in(data: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(FILE, data if isinstance(data, bytes) else data.encode())
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 0x1F\nb: 017\nc: 1_000\nd: 1.5e+3\ne: .inf\nf: ~\ng: yes\nh: No\ni: -5\nj: +.5\nk: '5'\nl: 1e5",
        "m: 0b11\nn: 0\no: 09\np: '-'\nq: -.inf\nr: .5\ns: 1.\nt: .5.\nu: 0x\nw: TRUE\nx: tRUE\ny: y",
        "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: [*x, *x]\nf:\n  <<: [*x, {z: 1, b: 9}]\n  q: 1\n",
        "a: &x 5\nb: *x\nc: &y [1]\nd: *y\n",
        "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
        "- 1\n- [2, {a: b}]\n- - 3\n",
        "a: !!str 5\nb: !!int '7'\nc: !!float 1.5\nd: !!bool 'yes'\ne: !!null ''\n",
        "# only a comment\n",
        "",
        "---\na: 1\n...\n",
        "? b\n: c\n",
        "just text",
    ],
)
def test_values_are_those_of_the_safe_loader(text: str) -> None:
    assert value_of(text) == yaml.safe_load(text)


plain = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="+-._~ xobeE"), min_size=1
)


@given(plain)
def test_plain_scalars_are_those_of_the_safe_loader(text: str) -> None:
    try:
        wanted = yaml.safe_load(f"[{text}]")
    except (yaml.YAMLError, ValueError):
        return
    if len(wanted) == 1 and isinstance(wanted[0], str | int | float | bool | None) and ":" not in text:
        found = scalar(text.strip())
        # Not a number (nan) is unequal to itself, and dates stay text here.
        assert repr(found) == repr(wanted[0]) or isinstance(found, str)


# PyYAML itself reads other line breaks than it wrote.
PRINTED = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"])
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(PRINTED, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(PRINTED, max_size=10), inner, max_size=4)
    ),
    max_leaves=25,
)


@given(trees, st.booleans())
def test_whatever_is_dumped_is_read_back(tree: Any, flow: bool) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, width=10_000)
    assert value_of(text) == tree


def test_dates_and_times_stay_text() -> None:
    assert value_of("a: 2024-01-01\nb: 12:30\nc: 22:22:22\n") == {
        "a": "2024-01-01",
        "b": "12:30",
        "c": "22:22:22",
    }


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert value_of("\ufeffa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\tb: 1\n", "c.yaml:2:1: is not valid YAML: .*use spaces"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2:1: is a second document"),
        ("a: \x00b", "c.yaml:1:4: holds a character YAML does not allow"),
        ("a: [1", "c.yaml:2:1: is not valid YAML: while parsing a flow sequence"),
        ("a: *hunter2", "^c.yaml:1:4: the alias has no anchor before it$"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "c.yaml:4:3: the key 'c' is given twice, first in line 3"),
        ("a: 1\n'a': 2", "c.yaml:2:1: the key 'a' is given twice"),
        ("1: x", "c.yaml:1:1: a key must be text: put it in quotes"),
        ("on: x", "c.yaml:1:1: a key must be text"),
        ("~: x", "c.yaml:1:1: a key must be text"),
        ("!!int 5: x", "c.yaml:1:1: a key must be text"),
        ("[a]: b", "c.yaml:1:1: a key must be text"),
        ("a: &x b\n*x : 1", "c.yaml:2:1: a key must be text"),
        ("a: &a [*a]", "c.yaml:1:8: contains itself"),
        ("a: !env X", "c.yaml:1:4: has a tag or a value that is not understood"),
        ("a: !!int x", "c.yaml:1:4: has a tag"),
        ("a: !set {x}", "c.yaml:1:4: has a tag that is not understood"),
        ("a: !!python/object/apply:os.system ['true']", "has a tag that is not understood"),
        ("<<: 3", "c.yaml:1:5: << takes a mapping"),
        ("a: b: c", "c.yaml:1:5: is not valid YAML: mapping values are not allowed"),
        ("[" * 100_000, "c.yaml:1:65: is nested more than 64 deep"),
        ("- " * 5000, "is nested more than 64 deep"),
        ("\n".join(" " * depth + "a:" for depth in range(3000)), "is nested more than 64 deep"),
        (b"a: 1\nb: \xff", "c.yaml:2:1: is not UTF-8"),
        ("a: 1".encode("utf-16"), "c.yaml:1:1: is not UTF-8"),
    ],
)
def test_faults_have_a_place(text: str | bytes, said: str) -> None:

    assert re.search(said, fault_in(text)), fault_in(text)


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [1,2,3,4,5,6,7,8,9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    began = time.process_time()
    assert "holds too many values once its aliases are written out" in fault_in("\n".join(lines))
    assert time.process_time() - began < 1


def test_places_of_keys_items_and_of_what_is_missing() -> None:
    text = "targets:\n  dev: &d\n    attach:\n      - path: x\n        pth: y\n      - {a: b}\n"
    text += "  two:\n    <<: *d\n"
    document = parse(FILE, text.encode())

    def at(*path: str | int) -> str:
        return str(document.place(path))

    assert at() == "c.yaml:1:1"
    assert at("targets", "dev", "attach", 0, "pth") == "c.yaml:5:9"
    assert at("targets", "dev", "attach", 1) == "c.yaml:6:9"
    assert at("targets", "two", "attach", 1, "a") == "c.yaml:6:10"
    assert at("targets", "dev", "nope", "deeper") == "c.yaml:2:3"
    assert at("nope") == "c.yaml:1:1"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * (MAX_BYTES + 1))
    (tmp_path / "loop").symlink_to("loop")
    for name, said in {
        "absent": "does not exist",
        "pipe": "is no regular file",
        ".": "is a directory",
        "large": "is larger than 32 MB",
        "loop": "cannot be read: Too many levels",
    }.items():
        with pytest.raises(ConfigurationError, match=said):
            read_bytes(tmp_path / name)
