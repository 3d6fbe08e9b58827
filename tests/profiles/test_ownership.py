"""What stays in a profile, for every file, record and configuration."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from floe_monitor.profiles.merge import MergeRefusedError, merge, output_texts, read
from floe_monitor.profiles.ownership import Claims, claims_after, decide, digest
from floe_monitor.profiles.render import Rendered
from floe_monitor.profiles.yaml_text import equal

BEFORE = "shop: &s  {target: x, outputs: {x: {type: y}}}   # theirs\n"
AFTER = "zoo:\n  - 1   # last\n"


def rendered(*names: str, target: str | None = None, prune: bool = False, **settings: Any) -> Rendered:
    outputs = {name: {"type": "plain", **settings} for name in names}
    return Rendered("ours", target or names[0], names, outputs, fixed_default=target is not None, prune=prune)


def written(text: str, wanted: Rendered, claims: Claims | None = None) -> str:
    existing = read(text, "ours")
    return merge(existing, decide(existing, wanted, claims).profile, verbatim=not wanted.prune)


def profile(text: str) -> Any:
    return yaml.safe_load(text)["ours"]


names = st.sampled_from(["dev", "prod", "lake", "a b", "生产", "-x", "yes", "1"])
scalars = st.sampled_from(
    ["x", "'q: #'", '"a\\nb"', "1", "~", "!!binary aGk=", "[1, 'b']", "2024-01-02", ".nan"]
)


@st.composite
def own_profiles(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A profile as people write it, and the names of its outputs. Each entry in a style of its own."""
    chosen = draw(st.lists(names, unique=True, max_size=4))
    entries = []
    for name in chosen:
        key = draw(st.sampled_from([f"'{name}'", f'"{name}"']))
        value = draw(scalars)
        mark = draw(st.sampled_from(["", "  # mine"]))
        block = f"    {key}:{mark}\n      type: t\n      # deep\n      v:   {value}{mark}\n"
        flow = f"    {key}:   {{type: t,  'v': {value}}}{mark}\n"
        above = draw(st.sampled_from(["", "    # above\n", "\n"]))
        entries.append(above + draw(st.sampled_from([block, flow])))
    target = draw(st.sampled_from(["", "  target: dev\n", "  target: 'lake' # t\n", "  target: nowhere\n"]))
    target = draw(st.sampled_from([target, target, "  target: \"{{ env_var('T', 'dev') }}\"\n"]))
    extra = draw(st.sampled_from(["", "  threads: 7\n  query-comment:   x # c\n", "  <<: {more:  1}\n"]))
    inside = "".join(entries)
    braces: bool = draw(st.booleans())
    if entries and braces:
        items = [f"'{name}': {{type:   t, v: {draw(scalars)}}}" for name in chosen]
        inside = "    {" + draw(st.sampled_from([",  ", ",\n     # c\n     "])).join(items) + "}\n"
    text = f"ours:\n{target}{extra}  outputs:\n{inside}"
    return text, chosen


def spelled(text: str) -> dict[Any, str]:
    """Every output of `text` as it is written, by PyYAML's own reading."""
    found = {}
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    for key, value in root.value:
        if key.value == "ours":
            for inner, outputs in value.value:
                if inner.value == "outputs" and isinstance(outputs, yaml.MappingNode):
                    for name, node in outputs.value:
                        found[name.value] = text[name.start_mark.index : end_of(node)].strip()
    return found


def end_of(node: yaml.Node) -> int:
    """Without the comments behind a block, which PyYAML counts to it."""
    while isinstance(node, yaml.MappingNode) and not node.flow_style:
        node = node.value[-1][1]
    end: int = node.end_mark.index
    return end


@given(
    own_profiles(),
    st.lists(names, unique=True, min_size=1, max_size=3),
    st.sets(names),
    st.sets(names),
    st.sampled_from([None, "dev"]),
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(
    ("ours:\n  outputs:\n    {'lake': {type: t, v: 1}, 'dev': {type: t, v: x}}\n", ["lake", "dev"]),
    ["yes"],
    {"dev"},
    {"lake"},
    None,
)
def test_nothing_is_lost_that_the_record_does_not_own(
    own: tuple[str, list[str]], configured: list[str], claimed: set[str], edited: set[str], target: str | None
) -> None:
    text = BEFORE + own[0] + AFTER
    value = yaml.safe_load(text)["ours"]
    target = target if target in configured else None
    texts = output_texts(read(text, "ours"))
    assert set(texts) == set(own[1])
    claims = Claims({n: digest(texts.get(n, "") + ("!" if n in edited else "")) for n in claimed})
    after = written(text, rendered(*configured, target=target), claims)
    assert after.startswith(BEFORE)
    assert after.endswith(AFTER)
    now = profile(after)
    owned = {name for name in claimed - edited if name in texts} - set(configured)
    stays = set(own[1]) - owned - set(configured)
    assert set(now["outputs"]) == stays | set(configured)
    for name in stays:
        assert spelled(after)[name] == spelled(text)[name]
        assert equal(now["outputs"][name], value["outputs"][name])
    rest = {key: item for key, item in value.items() if key not in ("outputs", "target")}
    assert equal({key: item for key, item in now.items() if key not in ("outputs", "target")}, rest)
    if target is None and (value.get("target") in now["outputs"] or "{{" in str(value.get("target"))):
        assert now["target"] == value["target"]
    assert written(after, rendered(*configured, target=target), claims) == after


def test_an_import_of_one_of_two_outputs_leaves_the_other_and_the_default() -> None:
    text = """\
shop: 1
ours:
  target: lake
  outputs:
    dev: {type: duckdb, path: ':memory:', threads: 1}
    lake: {type: databricks, host: h.example.test, token: "{{ env_var('T') }}"}
"""
    after = written(text, rendered("dev", path=":memory:", threads=1))
    assert after == text.replace("type: duckdb", "type: plain")


def test_keys_beside_outputs_stay() -> None:
    text = "ours:\n  target: dev\n  query-comment: x\n  threads: 7\n  outputs:\n    dev: {type: duckdb}\n"
    assert written(text, rendered("dev")) == text.replace("duckdb", "plain")
    assert profile(written(text, rendered("dev", prune=True))) == {
        "target": "dev",
        "outputs": {"dev": {"type": "plain"}},
    }


@pytest.mark.parametrize(
    ("there", "claimed", "fixed", "becomes"),
    [
        ("prod", None, None, "prod"),
        ("prod", "prod", None, "dev"),
        ("prod", None, "dev", "dev"),
        ("gone", None, None, "gone"),
        ("gone", "gone", None, "dev"),
        ("'{{ env_var(\"T\") }}'", None, None, '{{ env_var("T") }}'),
        ("~", None, None, None),
        ("[prod]", None, None, ["prod"]),
    ],
)
def test_the_default_output(there: str, claimed: str | None, fixed: str | None, becomes: object) -> None:
    text = f"ours:\n  target: {there}\n  outputs:\n    prod: {{type: x}}\n"
    assert profile(written(text, rendered("dev", target=fixed), Claims(target=claimed)))["target"] == becomes


def test_a_profile_without_target_stays_without() -> None:
    for name in ("default", "prod"):
        assert "target" not in profile(
            written(f"ours:\n  outputs:\n    {name}: {{type: x}}\n", rendered("dev"))
        )
    assert profile(written("ours:\n  outputs: {}\n", rendered("dev")))["target"] == "dev"


@pytest.mark.parametrize(("name", "target"), [("default", ""), ("old", "  target: old\n")])
def test_a_default_whose_output_the_monitor_removes_becomes_the_first_target(name: str, target: str) -> None:
    text = f"ours:\n{target}  outputs:\n    {name}: {{type: plain}}\n    dev: {{type: plain}}\n"
    claims = Claims({name: digest(output_texts(read(text, "ours"))[name])})
    after = profile(written(text, rendered("dev"), claims))
    assert after == {"target": "dev", "outputs": {"dev": {"type": "plain"}}}


def test_a_target_is_the_monitors_only_where_the_monitor_set_it() -> None:
    def claims(text: str, claimed: Claims | None) -> Claims:
        wanted = rendered("dev")
        return claims_after(read(text, "ours"), read(written(text, wanted, claimed), "ours"), wanted, claimed)

    assert claims("", None).target == "dev"
    assert claims("ours: {target: dev, outputs: {dev: {type: x}}}\n", None).target is None
    assert claims("ours: {target: dev, outputs: {dev: {type: x}}}\n", Claims(target="dev")).target == "dev"
    assert claims("ours: {target: old, outputs: {old: {type: x}}}\n", None).target is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ours: 1\n", "no mapping"),
        ("ours: {outputs: [1]}\n", "no mapping"),
        (
            "ours:\n  outputs:\n    a: {type: x}\n    a: {type: y}\n",
            "output 'a' is there more than once: lines 3 and 4",
        ),
        ("ours:\n  x: 1\n  x: 2\n", "key 'x' is there more than once"),
    ],
)
def test_what_cannot_be_kept_is_refused_but_where_the_profile_is_the_configurations_alone(
    text: str, says: str
) -> None:
    with pytest.raises(MergeRefusedError, match=says):
        written(text, rendered("dev"))
    assert list(profile(written(text, rendered("dev", prune=True)))["outputs"]) == ["dev"]


def test_outputs_by_alias_and_merge_key_stay() -> None:
    text = "base: &b\n  lake: {type: x}\nours:\n  target: lake\n  outputs:\n    <<: *b\n    1: {type: one}\n"
    after = written(text, rendered("dev"))
    assert after == text + "    dev:\n      type: plain\n"
    alias = "base: &b\n  lake: {type: x}\nours: {target: lake, outputs: *b}\n"
    assert set(profile(written(alias, rendered("dev")))["outputs"]) == {"lake", "dev"}


def test_json_stays_json() -> None:
    import json

    text = (
        '{"ours": {"target": "lake",\n "outputs": {"lake": {"type":  "x"},\n  "old": {"type": "y"}}}, "z": 1}'
    )
    claims = Claims({"old": digest('"old": {"type": "y"}')})
    after = written(text, rendered("dev"), claims)
    assert list(json.loads(after)["ours"]["outputs"]) == ["lake", "dev"]
    assert '"lake": {"type":  "x"}' in after


def test_a_text_of_the_monitors_goes_and_what_stands_around_it_stays() -> None:
    text = (
        "ours:\n  target: a\n  outputs:\n    # about a\n    a: {type: x}\n"
        "    b:\n      type: y\n    # about c\n    c: {type: z}\n"
    )
    claims = Claims({"b": digest("b:\n      type: y")})
    assert written(text, rendered("a"), claims) == text.replace("    b:\n      type: y\n", "").replace(
        "x}", "plain}"
    )
    assert "b:\r\n" not in written(text.replace("\n", "\r\n"), rendered("a"), claims), (
        "line ends do not count"
    )


def test_where_an_edit_would_respell_what_stays_the_file_is_left_alone() -> None:
    text = (
        "ours:\n  target: a\n  outputs:\n    ? old\n    : {type:   y}\n"
        "    a: {type: x}\n    mine: {type:   z}\n"
    )
    claims = Claims({"old": digest("old\n    : {type:   y}")})
    with pytest.raises(MergeRefusedError, match="cannot be changed without"):
        written(text, rendered("a"), claims)
    assert written(text, rendered("a")) == text.replace("{type: x}", "{type: plain}")
