"""Editing one profile in a text that belongs to others too."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import NOTHING_MAY_SKIP
from floe_monitor.profiles.merge import MergeRefusedError, merge, read
from floe_monitor.profiles.yaml_text import equal

EXAMPLES, FEWER_EXAMPLES = (120, 50) if NOTHING_MAY_SKIP else (60, 25)
"""All of them in the gate, half in other runs."""

OURS: dict[str, Any] = {
    "target": "dev",
    "outputs": {
        "dev": {"type": "duckdb", "path": ":memory:", "threads": 4, "extensions": ["httpfs"]},
        "odd": {"type": "x", "word": "yes", "clock": "12:30", "lines": "a\nb", "env": "{{ env_var('P') }}"},
    },
}

FOREIGN = """\
# ours to keep
shop: &shop   # an anchor
    target:  'prod'
    outputs: {prod: {type: postgres, "password": literal}}   # flow
other:
  <<: *shop
  text: |
    two
    lines

# the end
"""


def into(text: str, wanted: dict[str, Any] = OURS, name: str = "ours") -> str:
    return merge(read(text, name), wanted)


def loaded(text: str) -> dict[Any, Any]:
    value = yaml.safe_load(text)
    assert isinstance(value, dict)
    return value


names = st.sampled_from(["a", "b-c", "shop", "ours2", "yes", "1", "config", "ours"])
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.dates()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | names, inner, max_size=3),
    max_leaves=8,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
wanteds = st.fixed_dictionaries(
    {
        "target": names,
        "outputs": st.dictionaries(names, st.dictionaries(texts, plain, min_size=1), min_size=1),
    }
)
noise = st.sampled_from(["", "# a comment\n", "\n", "  # deep\n", "\n\n# two: [\n"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """A profiles.yml as different tools and people write it, ours among the rest or not."""
    profiles = draw(st.dictionaries(names, values, max_size=4))
    parts = [draw(noise)]
    for name, value in profiles.items():
        parts.append(
            yaml.safe_dump(
                {name: value},
                default_flow_style=draw(st.sampled_from([False, None])),
                allow_unicode=draw(st.booleans()),
                indent=draw(st.integers(2, 5)),
                default_style=draw(st.sampled_from([None, '"', "'", "|"])),
                sort_keys=False,
            )
        )
        parts.append(draw(noise))
    text = "".join(parts)
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "\ufeff", "---\n"])) + text


@pytest.mark.slow
@given(files(), wanteds)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(FOREIGN, OURS)
@example("a: |+\n  x\n\n", OURS)
@example("ours: {}", OURS)
@example("{a: null}\n# a comment\n", OURS)
def test_ours_is_as_wanted_the_rest_as_it_was_and_again_changes_nothing(
    text: str, wanted: dict[str, Any]
) -> None:
    try:
        before = yaml.safe_load(text) or {}
        existing = read(text, "ours")
    except Exception:  # noqa: BLE001 - PyYAML lets any error through for a wrongly tagged value
        return  # what the generator could not put together into one mapping
    after = merge(existing, wanted)
    now = loaded(after)
    assert equal(now["ours"], wanted)
    rest = {key: value for key, value in before.items() if key != "ours"}
    assert equal({key: value for key, value in now.items() if key != "ours"}, rest, ordered=True)
    assert into(after, wanted) == after
    root = yaml.compose(text)
    if "ours" not in before and not getattr(root, "flow_style", False):
        assert text.removeprefix("\ufeff") in after or after.endswith(text.removeprefix("\ufeff"))


@pytest.mark.slow
@given(wanteds, wanteds)
@settings(max_examples=FEWER_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_from_any_version_to_any_other_without_touching_a_neighbour(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    before, after = FOREIGN, "zoo:\n  - 1   # last\n"
    text = before + into("", one) + after
    changed = into(text, two)
    assert changed.startswith(before)
    assert changed.endswith(after)
    assert equal(loaded(changed)["ours"], two)


def test_only_differing_lines_change_and_comments_beside_surviving_keys_stay() -> None:
    text = """\
ours:  # mine
  # why prod
  target: prod  # the target
  outputs:
    # about dev
    dev:
      type: duckdb   # engine
      path: /tmp/x.db  # path
      threads: 4
      extensions: [a, b]  # both
      # deep tail
    gone:
      type: x
    # about odd
    odd: {type: x, word: 'yes', clock: "12:30", lines: "a\\nb", env: "{{ env_var('P') }}"}
# about zoo
zoo: 1
"""
    assert into(text) == text.replace("target: prod", "target: dev").replace(
        "/tmp/x.db", "':memory:'"
    ).replace("[a, b]", "[httpfs]").replace("    gone:\n      type: x\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# only a comment",
        "---\n",
        "---\n...\n",
        "{}",
        "--- {}\n",
        '{"a": {"b": 1}}',
        "ours:\n",
        "ours: ~",
    ],
)
def test_fits_into(text: str) -> None:
    assert equal(loaded(into(text))["ours"], OURS)


@pytest.mark.parametrize("text", ["a: |\n  no final newline", "a: 1", "a: 1\n...\n", "a: |+\n  kept\n\n\n"])
def test_what_stands_at_the_end_keeps_its_value(text: str) -> None:
    assert loaded(into(text))["a"] == loaded(text)["a"]


def test_carriage_returns_and_byte_order_mark_stay() -> None:
    text = "\ufeff# top\r\nshop:\r\n  a: 1\r\n"
    after = into(text)
    assert after.startswith(text)
    assert after.count("\n") == after.count("\r\n")


def test_a_file_equal_in_value_is_left_as_it_is_written() -> None:
    wanted = {"target": "dev", "outputs": {"dev": {"type": "duckdb", "threads": 4}}}
    text = 'base: &b {type: duckdb}\nours: {outputs: {dev: {threads: 4, <<: *b}}, target: "dev"}'
    assert into(text, wanted) == text


def test_one_is_not_true() -> None:
    text = "ours: {target: dev, outputs: {dev: {type: x, flag: 1}}}\n"
    wanted = {"target": "dev", "outputs": {"dev": {"type": "x", "flag": True}}}
    assert loaded(into(text, wanted))["ours"]["outputs"]["dev"]["flag"] is True


def test_an_own_anchor_is_kept_while_it_is_not_in_the_way() -> None:
    text = "ours:\n  target: old\n  outputs:\n    dev: &d {type: x}\nzoo: *d\n"
    wanted = {"target": "dev", "outputs": {"dev": {"type": "x"}}}
    assert into(text, wanted) == text.replace("old", "dev")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\n\tb: 2\n", "line 2"),
        ("a: [1\nb: 2\n", "line 2"),
        ("- 1\n", "line 1: the existing file does not hold a mapping"),
        ("just words", "line 1: the existing file does not hold a mapping"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document"),
        ("ours: 1\na: 2\nours: 3\n", "lines 1 and 3"),
        ("ours: &q\n  target: x\nz: *q\n", "anchor"),
        ("a: 2024-13-45\n", "ValueError"),
        ("a: \x01\n", "character 3"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("ours: &a [*a]\n", "refers to itself"),
        ("a: 1\n" * 200_000, "longer than"),
    ],
)
def test_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(MergeRefusedError, match=says):
        into(text)


def test_a_bomb_of_aliases_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert "ours:" in into("\n".join(lines) + "\n")
    with pytest.raises(MergeRefusedError, match="too large"):
        into("\n".join([*lines, "ours: *a59"]) + "\n")


@pytest.mark.parametrize(
    "value", ["!Canary-7f3a x", "*Canary7f3a", "&Canary7f3a [", "%Canary7f3a", "'Canary7f3a"]
)
def test_a_refusal_quotes_nothing_of_the_file(value: str) -> None:
    with pytest.raises(MergeRefusedError) as refused:
        into(f"shop: {{password: {value}}}\n")
    assert "Canary" not in str(refused.value)


def test_arguments_are_not_changed() -> None:
    wanted = copy.deepcopy(OURS)
    into(FOREIGN, wanted)
    assert wanted == OURS


LISTS = """\
ours:
  target: dev
  outputs:
    dev:
      type: "x"
      secrets:
        # the first
        - {name: 'a', key: 1}   # stays
        - name: "b"   # to be rotated
          secret: old   # here
          scope: ["s3://x", 's3://y', [1,  2]]
      paths: [ 'a',  "b" ]
"""


def test_the_items_of_a_list_that_differ_are_changed_in_their_place() -> None:
    wanted = loaded(LISTS)["ours"]
    output = wanted["outputs"]["dev"]
    output["secrets"][1]["secret"] = "new"
    output["secrets"][1]["scope"][2][1] = 3
    output["paths"][1] = "c"
    changed = (
        LISTS.replace("secret: old", "secret: new").replace("[1,  2]", "[1,  3]").replace('"b" ]', "c ]")
    )
    assert into(LISTS, wanted) == changed


def test_a_list_of_another_length_is_written_anew() -> None:
    wanted = loaded(LISTS)["ours"]
    wanted["outputs"]["dev"]["paths"].append("c")
    assert into(LISTS, wanted) == LISTS.replace("""[ 'a',  "b" ]""", "[a, b, c]")


def test_tabs_that_libyaml_takes_for_spaces() -> None:
    text = "ours:\n  target: dev\t# a tab\n  outputs:\n    dev: {type: x}\t\n  keep: 'a\tb' \t# c\n"
    wanted = {
        **loaded(text.replace("\t#", " #").replace("\t\n", "\n"))["ours"],
        "outputs": {"dev": {"type": "y"}},
    }
    assert into(text, wanted) == text.replace("type: x", "type: y")
