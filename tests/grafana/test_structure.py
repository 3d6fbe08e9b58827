"""The dashboards: checked in as generated, of Grafana's own model, explained, linked, counting right."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.__main__ import files, provisioned
from deploy.grafana.parameters import Parameters
from deploy.grafana.selection import DISAGREED, UPTIME, VERDICT
from floe_monitor.telemetry.instruments import INSTRUMENTS
from tests.deploy.test_otlp_rules import RECEIVED
from tests.grafana.boards import ANNOTATIONS, BOARDS, GRAFANA, PANEL_IDS, PANELS, QUERIES, VARIABLES, concrete

if TYPE_CHECKING:
    from pathlib import Path


def test_they_are_what_the_generator_writes() -> None:
    made = files(Parameters())
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, "run: python -m deploy.grafana"
    assert set(GRAFANA.rglob("*.json")) == made.keys()


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_own_model_reads_and_writes_them_unchanged(name: str) -> None:
    """Whatever that model does not know would be lost."""
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(BOARDS[name])))
    assert again == BOARDS[name]


@pytest.mark.parametrize("name", BOARDS)
def test_ids_are_unique_and_panels_do_not_overlap(name: str) -> None:
    board = BOARDS[name]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place.get("x", 0), place.get("x", 0) + place["w"])
            for y in range(place.get("y", 0), place.get("y", 0) + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=PANEL_IDS)
def test_each_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    if panel["type"] == "alertlist":
        return
    refs = [target["refId"] for target in panel["targets"]]
    assert refs
    assert len(set(refs)) == len(refs)
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    if panel["type"] in {"stat", "timeseries", "bargauge"}:
        assert panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "state-timeline":
        assert panel["fieldConfig"]["defaults"]["mappings"], "numbers have words"


@pytest.mark.parametrize(
    "panel", [each for _, each in PANELS if each["type"] == "table"], ids=lambda each: each["title"]
)
def test_columns_of_tables_have_units_or_words(panel: dict[str, Any]) -> None:
    [organized] = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
    values = {name for ref, name in organized["renameByName"].items() if ref.startswith("Value #")}
    looks = {
        each["matcher"]["options"]: {one["id"] for one in each["properties"]}
        for each in panel["fieldConfig"]["overrides"]
    }
    for name in values:
        assert looks[name] & {"unit", "mappings"}, name


def test_all_have_the_same_variables_and_lead_to_one_another() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    assert uids == {"floe-fleet", "floe-target", "floe-monitor"}
    for board in BOARDS.values():
        assert [each["name"] for each in board["templating"]["list"]] == ["datasource", *VARIABLES]
        addresses = [link["url"] for link in board["links"]]
        assert {f"/d/{uid}" for uid in uids - {board["uid"]}} < set(addresses)
        assert all(
            link["includeVars"] and link["keepTime"]
            for link in board["links"]
            if link["url"].startswith("/d/")
        )
        assert any(url.endswith("/docs/alerts.html") for url in addresses), "the runbook"
    text = json.dumps(BOARDS)
    linked = set(re.findall(r"/d/([\w-]+)\?", text))
    assert linked == {"floe-target", "floe-monitor"}, "from a table's rows"
    assert "http://${__data.fields.Monitor}/targets/${__data.fields.Target:percentencode}" in text


def test_addresses_are_parameters() -> None:
    text = provisioned(
        "target", Parameters("https://wiki.example.com/floe", "https://floe.example.com/{target}")
    )
    assert "https://wiki.example.com/floe" in text
    assert "https://floe.example.com/${__data.fields.Target:percentencode}" in text
    assert "${__data.fields.Monitor}/targets" not in text


def test_the_importable_ones_ask_for_a_data_source() -> None:
    for name, board in BOARDS.items():
        importable = json.loads((GRAFANA / "import" / f"{name}.json").read_text())
        [asked] = importable["__inputs"]
        assert (asked["type"], asked["pluginId"]) == ("datasource", "prometheus")
        assert f"${{{asked['name']}}}" in json.dumps(importable["templating"])
        needed = {each["id"] for each in importable["__requires"] if each["type"] == "panel"}
        assert needed == {panel["type"] for panel in board["panels"]} - {"row"}
        assert importable["panels"] == board["panels"]


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_is_promql_that_follows_the_variables(name: str) -> None:
    expression = concrete(QUERIES[name])
    promql_parser.parse(expression)
    for selector in re.findall(r"(?:floe_\w+|process_\w+|ALERTS)(\{[^}]*\})", QUERIES[name]):
        assert {"$cluster", "$namespace", "$monitor"} <= set(re.findall(r"\$\w+", selector)), selector
    if "floe_compute_target_" in expression and not name.startswith("floe-monitor"):
        assert 'label_team=~"$team"' in QUERIES[name], "of what is there now, by team"


def test_annotations_follow_the_variables() -> None:
    assert set(ANNOTATIONS) == {"Alerts", "Maintenance", "Monitor started", "Configuration loaded"}
    for expression in ANNOTATIONS.values():
        promql_parser.parse(concrete(expression))
        assert "$monitor" in expression
    for variable in VARIABLES:
        assert f"${variable}" in ANNOTATIONS["Alerts"]


def test_they_show_every_instrument_and_no_other_by_whichever_way_it_came() -> None:
    named = set(re.findall(r"\b(?:floe_(?:compute|monitor)|process)_\w+", " ".join(QUERIES.values())))
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert shown == {instrument.name for instrument in INSTRUMENTS}
    assert shown == set(RECEIVED.values())


PLACE = 'job="floe",cluster="",namespace=""'


def series(metric: str, instance: str, target: str, values: str) -> dict[str, str]:
    return {
        "series": f'{metric}{{job="floe",instance="{instance}",target="{target}",plugin="pg"}}',
        "values": values,
    }


VOTES = {
    "both-ill": "33", "one-of-two": "13", "two-of-three": "133", "one-of-three": "113", "degraded": "222",
    "worse-half": "123", "no-vote": "00", "one-vote": "03",
}  # fmt: skip
VERDICTS = {
    "both-ill": 3, "one-of-two": 1, "two-of-three": 3, "one-of-three": 1, "degraded": 2, "worse-half": 2,
    "no-vote": 0, "one-vote": 3,
}  # fmt: skip
DISAGREEING = {"one-of-two": 2, "two-of-three": 2, "one-of-three": 2, "worse-half": 2}


@pytest.mark.process
def test_each_target_counts_once_as_most_of_its_monitors_see_it(tmp_path: Path) -> None:
    """Evaluated by promtool; a target that is not configured any more has no row."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    given = [
        row
        for target, votes in VOTES.items()
        for instance, vote in zip("abc", votes, strict=False)
        for row in (
            series("floe_compute_target_status", instance, target, f"{vote}x20"),
            series("floe_compute_target_info", instance, target, "1x20"),
        )
    ]
    given += [
        series("floe_compute_target_status", "a", "removed", "3x8 stale"),
        series("floe_compute_target_info", "a", "removed", "1x8 stale"),
    ]
    for instance, failed in (("a", "0+15x20"), ("b", "0+1.5x20")):
        for status, values in (("unhealthy", failed), ("healthy", "0+15x20")):
            row = series("floe_compute_target_result_seconds_total", instance, "one-of-two", values)
            given.append({**row, "series": row["series"].replace("}", f',status="{status}"}}')})

    def expected(values: dict[str, float]) -> list[dict[str, Any]]:
        return [
            {"labels": f'{{job="floe",target="{target}",plugin="pg"}}', "value": value}
            for target, value in values.items()
        ]

    tests = [
        {"expr": concrete(VERDICT), "eval_time": "5m", "exp_samples": expected(dict(VERDICTS))},
        {"expr": concrete(DISAGREED), "eval_time": "5m", "exp_samples": expected(dict(DISAGREEING))},
        {
            "expr": f"round({concrete(UPTIME)}, 0.001)",
            "eval_time": "5m",
            "exp_samples": expected({"one-of-two": 0.909}),
        },
    ]
    document = {
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": given, "promql_expr_test": tests}],
    }
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
