"""The public page: open where it is configured and nowhere else, and with nothing that was not chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from floe_monitor.compute.models import CheckResult, ConnectionStatus, ErrorType, ExpiryKind
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.state import ConfigStatus
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.settings.loader import load
from floe_monitor.settings.problems import ConfigurationError
from floe_monitor.web.listener_identity import ListenerIdentity
from floe_monitor.web.rate_limit import RateLimit
from tests.web.conftest import NOW
from tests.web.test_badges import words
from tests.web.test_incident_api import fail
from tests.web.test_page import Page

if TYPE_CHECKING:
    from pathlib import Path

NETWORK = ListenerIdentity("network", "0.0.0.0")  # noqa: S104 - nothing is bound there
LOOPBACK = ListenerIdentity("loopback", "127.0.0.1")
CANARY = "canary"
PAGE = {"heading": "Data platform", "targets": {"canary-target": "Warehouse", "lake": "Lake & <friends>"}}


@pytest.fixture
def planted(surface: Any, target_of: Any, result_of: Any) -> Any:
    """A target of which everything that can be known has the canary in it."""
    target = target_of(
        "canary-target",
        plugin="canary-plugin",
        labels={"canary_label": "canary"},
        connection={"host": "canary.internal"},
        credentials={"password": {"env": "CANARY_PASSWORD"}},
    )
    result = result_of(
        "canary-target",
        ConnectionStatus.UNHEALTHY,
        message="canary: connection refused",
        warnings=("canary",),
        error_type=ErrorType.CONNECTION,
        correlation_id="canary",
        trace_id="canary",
        server_address="canary.internal",
        expiries=(WatchedExpiry(ExpiryKind.PASSWORD, NOW, "canary", 0.0),),
        checks=(CheckResult("canary", ConnectionStatus.UNHEALTHY, 1.0, "canary"),),
    )
    snapshot = surface.add(target, result)
    surface.state.targets["canary-target"] = snapshot.with_maintenance(
        Maintenance(NOW, NOW + 600, "canary is replaced"), 0.0
    )
    surface.state.config = ConfigStatus(1.0, 2.0, ("canary.yaml:1:1: bad",))
    surface.state.history_problem = "canary"
    fail(surface, "canary-target", NOW)
    return surface


async def test_the_canaries_are_where_they_are_looked_for(planted: Any, serving: Any) -> None:
    async with serving(planted.app(LOOPBACK)) as client:
        assert (await client.get("/api/v1/targets/canary-target")).text.lower().count(CANARY) > 15


async def test_it_shows_what_was_chosen_and_nothing_else(planted: Any, serving: Any) -> None:
    async with serving(planted.app(NETWORK, public_page=PAGE)) as client:
        for accept in ("text/html", "application/json", "*/*"):
            answer = await client.get("/public", headers={"accept": accept})
            assert answer.status_code == 200
            everything = answer.text.lower() + str(answer.headers).lower()
            for inside in (CANARY, "refused", "5432", "duckdb", "postgres", "core", "iceberg", "0.1.0"):
                assert inside not in everything
        page = Page(answer.text)
    assert "Data platform" in page.text
    assert "Warehouse" in page.text
    assert "Lake & <friends>" in page.text
    assert "1 of 2 cannot be used now" in page.text
    assert "in maintenance until" in page.text
    for other in ("dev", "fresh", "warehouse "):
        assert other not in page.text
    assert all(link.startswith("assets/") for link in page.links), page.links


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/targets",
        "/targets/lake",
        "/badges/lake/status.svg",
        "/publicity",
        "/incidents",
        "/public/../",
    ],
)
async def test_it_opens_nothing_else(planted: Any, serving: Any, path: str) -> None:
    async with serving(planted.app(NETWORK, public_page=PAGE)) as client:
        assert (await client.get(path)).status_code == 401, path
        assert (await client.post("/public")).status_code == 401
        assert (await client.get("/public")).status_code == 200


async def test_without_it_there_is_none(surface: Any, serving: Any) -> None:
    async with serving(surface.app(NETWORK)) as client:
        assert (await client.get("/public")).status_code == 401
    async with serving(surface.app(LOOPBACK)) as client:
        assert (await client.get("/public")).status_code == 404


async def test_a_reload_opens_and_closes_it(planted: Any, serving: Any) -> None:
    async with serving(planted.app(NETWORK)) as client:
        planted.access.apply(HttpSettings.model_validate({"public_page": PAGE}))
        assert (await client.get("/public")).status_code == 200
        planted.access.apply(HttpSettings())
        assert (await client.get("/public")).status_code == 401


async def test_its_badges_may_be_shown_elsewhere_and_others_not(planted: Any, serving: Any) -> None:
    async with serving(planted.app(NETWORK, public_page=PAGE, public_read=True)) as client:
        answer = await client.get("/public/badges/Warehouse/status.svg")
        assert words(answer.content) == ["Warehouse", "unhealthy, in maintenance"]
        assert CANARY not in answer.text
        assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
        own = await client.get("/badges/lake/status.svg")
        assert own.headers.get_list("cross-origin-resource-policy") == ["same-origin"]
        for name in ("canary-target", "lake", "nobody"):
            missing = await client.get(f"/public/badges/{name}/status.svg", headers={"accept": "text/html"})
            assert (missing.status_code, missing.text) == (404, "Not Found\n")
        assert (await client.get("/public/badges/Warehouse/state.svg")).text == "Not Found\n"
    async with serving(planted.app(NETWORK, public_page={**PAGE, "badges": False})) as client:
        assert (await client.get("/public/badges/Warehouse/status.svg")).status_code == 404


async def test_a_target_that_is_not_watched_here_is_not_known(planted: Any, serving: Any) -> None:
    del planted.state.targets["canary-target"]
    async with serving(planted.app(NETWORK, public_page=PAGE)) as client:
        assert "not known" in (await client.get("/public")).text
        badge = await client.get("/public/badges/Warehouse/uptime.svg")
        assert words(badge.content) == ["Warehouse uptime", "unknown"]


async def test_its_clients_are_counted(planted: Any, serving: Any) -> None:
    app = planted.app(NETWORK, public_page=PAGE)
    planted.access._requests = RateLimit(1e-6, 3)  # three, however long the test takes
    async with serving(app) as client:
        answers = [await client.get("/public") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert answers[-1].text == "Too Many Requests\n"


@pytest.mark.parametrize("targets", [{}, {"a": "X", "b": "X"}, {"a": ""}, {"a": "x/y"}, {"a": "x" * 101}])
def test_names_that_cannot_be_shown_are_refused(targets: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HttpSettings.model_validate({"public_page": {"targets": targets}})


def test_a_target_that_there_is_not_is_a_located_problem(tmp_path: Path) -> None:
    path = tmp_path / "floe-monitor.yaml"
    path.write_text(
        "http:\n  public_page:\n    targets: {warehous: Warehouse}\ntargets:\n  warehouse: {plugin: x}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load(path, {})
    [problem] = refused.value.problems
    assert "http.public_page.targets.warehous: no such target" in str(problem)
    assert "warehouse" in str(problem)
