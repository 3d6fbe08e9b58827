from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.availability import Availability
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.state import TargetSnapshot
from floe_monitor.web.badge import COLOURS, render_badge
from floe_monitor.web.badge_api import describe
from tests.web.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

SVG = "{http://www.w3.org/2000/svg}"
DAY = 86_400.0


@pytest.fixture
async def client(surface: Any, serving: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(surface.app()) as connected:
        yield connected


def words(svg: bytes) -> list[str]:
    """Label and message, as they are drawn."""
    tree = ET.fromstring(svg)  # noqa: S314 - our own
    assert tree.tag == f"{SVG}svg"
    return [each.text or "" for each in tree.iter(f"{SVG}text")]


@given(
    st.text(st.characters(codec="utf-8"), max_size=100), st.text(st.characters(codec="utf-8"), max_size=100)
)
def test_any_text_is_drawn_and_none_breaks_out(label: str, message: str) -> None:
    svg = render_badge(label, message, "unknown")
    drawn = words(svg)
    assert len(drawn) == 2
    assert len(svg) < 4_000
    for given_text, text in zip((label, message), drawn, strict=True):
        if given_text.isprintable() and len(given_text) <= 64:
            assert text == given_text
    tags = {each.tag.removeprefix(SVG) for each in ET.fromstring(svg).iter()}  # noqa: S314 - our own
    assert tags == {"svg", "title", "clipPath", "rect", "g", "text"}


@pytest.mark.parametrize("colour", COLOURS)
def test_white_can_be_read_on_each_colour(colour: str) -> None:
    """WCAG's contrast of 4.5."""
    parts = [int(COLOURS[colour][at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 4.5


async def test_the_status(surface: Any, client: httpx.AsyncClient) -> None:
    for name, status in (
        ("warehouse", "unhealthy"),
        ("lake", "degraded"),
        ("dev", "healthy"),
        ("fresh", "unknown"),
    ):
        answer = await client.get(f"/badges/{name}/status.svg")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert words(answer.content) == [name, status]
        assert COLOURS[status] in answer.text
    surface.state.targets["dev"] = surface.state.targets["dev"].with_maintenance(
        Maintenance(NOW, NOW + 60, "disk"), 0.0
    )
    assert words((await client.get("/badges/dev/status.svg")).content) == ["dev", "healthy, in maintenance"]


async def test_it_may_be_kept_for_a_while_and_is_asked_for_by_its_tag(client: httpx.AsyncClient) -> None:
    first = await client.get("/badges/dev/status.svg")
    assert re.fullmatch(r"max-age=\d+", first.headers["cache-control"])
    again = await client.get("/badges/dev/status.svg", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, first.headers["cache-control"])


async def test_a_label_of_its_own(client: httpx.AsyncClient) -> None:
    answer = await client.get("/badges/dev/latency.svg", params={"label": '<Übersicht> & "more"'})
    assert words(answer.content) == ['<Übersicht> & "more"', "12 ms"]
    assert words((await client.get("/badges/dev/latency.svg")).content)[0] == "dev latency"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/badges/nobody/status.svg", 404, "no target 'nobody'"),
        ("/badges/dev/statu.svg", 404, "did you mean 'status'?"),
        ("/badges/dev/status.svg?lable=x", 400, "did you mean 'label'?"),
        (f"/badges/dev/status.svg?label={'x' * 65}", 400, "longer than 64"),
    ],
)
async def test_what_is_refused(client: httpx.AsyncClient, path: str, status: int, said: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("down", "up", "said", "colour"),
    [
        (0.0, 2 * DAY, "100 % of 2 d", "healthy"),
        (60.0, 2 * DAY - 60, "99.96 % of 2 d", "healthy"),
        (0.03 * 2 * DAY, 0.97 * 2 * DAY, "97.0 % of 2 d", "degraded"),
        (3_600.0, 3_600.0, "50.0 % of 2 h", "unhealthy"),
    ],
)
def test_uptime_counts_the_time_watched(
    target_of: Any, down: float, up: float, said: str, colour: str
) -> None:
    availability = (
        Availability()
        .after(ConnectionStatus.UNHEALTHY, 0.0)
        .after(ConnectionStatus.HEALTHY, down)
        .in_maintenance(maintained=True, now=down + up)
    )
    snapshot = TargetSnapshot(target_of("a"), availability=availability)
    assert describe(snapshot, "uptime", down + up + 7 * DAY) == (said, colour), (
        "maintenance counts for nothing"
    )


def test_without_a_result_or_a_success_it_says_so(surface: Any) -> None:
    fresh, failed = surface.state.targets["fresh"], surface.state.targets["warehouse"]
    assert describe(fresh, "uptime", 0.0) == ("no result yet", "unknown")
    assert describe(fresh, "latency", 0.0) == ("no result yet", "unknown")
    assert describe(failed, "latency", 0.0) == ("no success yet", "unknown")


async def test_nothing_but_what_was_asked_for_is_on_it(client: httpx.AsyncClient) -> None:
    for kind in ("status", "uptime", "latency"):
        answer = await client.get(f"/badges/warehouse/{kind}.svg")
        assert "connection refused" not in answer.text
        assert "//" not in answer.text.replace("http://www.w3.org/2000/svg", "")
