from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.incidents import MEMBERS_KEPT, Member, Reason
from floe_monitor.domain.resources import Resource
from tests.web.test_incident_api import DB, NOW, fail
from tests.web.test_page import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def client(surface: Any, serving: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(surface.app()) as connected:
        yield connected


async def shown(client: httpx.AsyncClient, path: str) -> tuple[str, Page]:
    answer = await client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, path
    return answer.text, Page(answer.text)


async def test_without_an_incident(client: httpx.AsyncClient) -> None:
    _, page = await shown(client, "/incidents")
    assert "No incident is open" in page.text
    assert "None since the start" in page.text


async def test_open_ones_come_before_those_that_ended(surface: Any, client: httpx.AsyncClient) -> None:
    over = fail(surface, "over", NOW)
    surface.state.incidents.left("over", NOW + 60)
    both = fail(surface, "dev", NOW + 100, DB)
    fail(surface, "warehouse", NOW + 101, DB)
    html, page = await shown(client, "/incidents")
    assert "1 incident is open" in page.text
    assert "2 targets by host db:5432" in page.text
    assert "60 s" in page.text
    assert html.index(f'id="i-{both}"') < html.index(f'id="i-{over}"')
    ended, _ = await shown(client, "/incidents?state=ended")
    assert over in ended
    assert both not in ended
    _, none = await shown(client, "/incidents?target=nobody")
    assert "No incident matches" in none.text


async def test_one_with_its_targets_and_reasons(surface: Any, client: httpx.AsyncClient) -> None:
    identity = fail(surface, "dev", NOW, DB)
    fail(surface, "gone", NOW + 1, DB)
    surface.state.incidents.left("gone", NOW + 2, "removed")
    later = Reason(NOW + 30, "dev", HealthStatus.DEGRADED, ErrorType.QUERY, "<i>slow</i>")
    surface.state.incidents.changed("dev", HealthStatus.DEGRADED, later)
    html, page = await shown(client, f"/incidents/{identity}")
    assert "&lt;i&gt;slow" in html
    assert page.text.index("connection refused") < page.text.index("<i>slow</i>")
    assert "../targets/dev" in page.links, "a target that is configured is linked"
    assert not any("gone" in link for link in page.links)
    assert "(removed)" in page.text
    assert "host db:5432" in page.text
    assert "not yet" in page.text
    surface.state.incidents.left("dev", NOW + 90)
    _, page = await shown(client, f"/incidents/{identity}")
    assert "every target is healthy again" in page.text
    assert "lasted 90 s" in page.text


async def test_a_merged_one_leads_to_where_it_goes_on(surface: Any, client: httpx.AsyncClient) -> None:
    shared = Resource("host", "other:1")
    first, second = fail(surface, "a", NOW, DB), fail(surface, "b", NOW + 1, shared)
    assert fail(surface, "c", NOW + 2, DB, shared) == first
    _, page = await shown(client, f"/incidents/{second}")
    assert f"../incidents/{first}" in page.links
    assert "it goes on in another incident" in page.text


async def test_many_come_in_pages(surface: Any, client: httpx.AsyncClient) -> None:
    for number in range(130):
        fail(surface, f"t{number}", NOW + number * 1000)
    html, page = await shown(client, "/incidents?state=open")
    assert html.count('id="i-') == 100
    (later,) = [link for link in page.links if "offset" in link]
    assert later == "incidents?state=open&offset=100"
    rest, _ = await shown(client, f"/{later}")
    assert rest.count('id="i-') == 30
    assert 'id="earlier"' in rest


async def test_a_large_one_shows_a_part_and_says_so(surface: Any, client: httpx.AsyncClient) -> None:
    for number in range(MEMBERS_KEPT):
        identity = fail(surface, f"t{number}", NOW, DB)
    _, page = await shown(client, f"/incidents/{identity}")
    assert "100 more targets" in page.text
    assert f"../api/v1/incidents/{identity}" in page.links
    assert "reasons in between are not kept" in page.text


async def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(
    surface: Any, client: httpx.AsyncClient
) -> None:
    identity = fail(surface, "dev", NOW, DB)
    for path in ("/incidents", f"/incidents/{identity}"):
        _, page = await shown(client, path)
        assert len(page.ids) == len(set(page.ids))
        assert "style" not in page.attributes
        for link in page.links:
            assert "//" not in link
            found = await client.get(httpx.URL(f"{client.base_url}{path}").join(link))
            assert found.status_code == 200, link


async def test_one_that_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/incidents/5f2c", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "no incident" in Page(answer.text).text


def test_a_member_that_shares_nothing_is_shown_without(surface: Any) -> None:
    from floe_monitor.web.incident_page import view_of

    member = Member("a", "postgres", NOW, NOW, HealthStatus.DEGRADED, HealthStatus.DEGRADED)
    [incident] = surface.state.incidents.worsened(member, Reason(NOW, "a", HealthStatus.DEGRADED))
    view = view_of(incident, NOW + 7200)
    assert (view.title, view.cause, view.lasted, view.end) == ("a", "", "2 h", "")
