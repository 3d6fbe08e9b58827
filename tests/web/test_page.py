from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from floe_monitor.domain.declarations import Announcement, Declarations
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.state import ConfigStatus
from floe_monitor.domain.worker_counts import WorkerCounts
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.web import formatters
from tests.web.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VOID = {"meta", "link", "img", "br", "input", "path"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps ids, text and links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src", "action") and value:
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
async def client(surface: Any, serving: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(surface.app()) as connected:
        yield connected


async def test_the_page_tells_every_target_in_words(client: httpx.AsyncClient) -> None:
    page = Page((await client.get("/")).text)
    for word in ("dev", "warehouse", "lake", "fresh", "unhealthy", "degraded", "unknown", "healthy"):
        assert word in page.text
    assert "extension iceberg is missing" in page.text
    assert "1 stuck" in page.text
    assert "floe_project in step" in " ".join(page.text.split())
    assert len(page.ids) == len(set(page.ids))


async def test_the_worst_comes_first(client: httpx.AsyncClient) -> None:
    html = (await client.get("/")).text
    names = re.findall(r'id="t-(\w+)"', html)
    assert names == ["warehouse", "lake", "fresh", "dev"]
    filtered = (await client.get("/?status=degraded&search=")).text
    assert re.findall(r'id="t-(\w+)"', filtered) == ["lake"]


async def test_it_loads_nothing_from_elsewhere_and_runs_nothing_inline(client: httpx.AsyncClient) -> None:
    for path in ("/", "/targets/dev", "/targets/fresh", "/targets/warehouse"):
        html = (await client.get(path)).text
        page = Page(html)
        assert not any("//" in link for link in page.links), page.links
        assert "style" not in page.attributes
        assert not any(name.startswith("on") for name in page.attributes)
        assert re.findall(r"<script(?![^>]*src=)", html) == []
        for link in page.links:
            target = httpx.URL(f"{client.base_url}{path}").join(link)
            if "validate" not in link:
                assert (await client.get(target)).status_code == 200, link


async def test_a_target_in_detail(client: httpx.AsyncClient) -> None:
    page = Page((await client.get("/targets/warehouse")).text)
    assert "connection refused" in page.text
    assert "WAREHOUSE_PASSWORD" in page.text
    assert "canary" not in page.text


async def test_what_is_wrong_with_the_monitor_is_on_the_page(surface: Any, client: httpx.AsyncClient) -> None:
    surface.state.config = ConfigStatus(1.0, 2.0, ("config.yaml:1:1: <b>bad</b>",))
    surface.state.workers = {"duckdb": WorkerCounts(4, 4, 16)}
    surface.state.first_round_done = False
    surface.state.dropped = {"otlp": 7}
    surface.stale("dev")
    html = (await client.get("/")).text
    page = Page(html)
    assert "&lt;b&gt;bad" in html
    assert "4 stuck workers (limit 4)" in page.text
    assert "not ready" in page.text
    assert "otlp dropped 7 events" in page.text
    assert "stale" in page.text


async def test_many_targets_come_in_pages(surface: Any, client: httpx.AsyncClient, target_of: Any) -> None:
    surface.state.targets.clear()
    for number in range(450):
        surface.add(target_of(f"t{number:03}"))
    seen: list[str] = []
    path: str | None = "/?search=t"
    while path:
        html = (await client.get(path)).text
        seen += re.findall(r'id="t-(\w+)"', html)
        later = re.search(r'id="later" href="([^"]+)"', html)
        path = "/" + later[1].replace("&amp;", "&") if later else None
    assert seen == [f"t{number:03}" for number in range(450)]


async def test_a_browser_is_told_of_errors_in_html(client: httpx.AsyncClient) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = await client.get("/targets/warehose", headers=browser)
    assert answer.status_code == 404
    assert "did you mean &#39;warehouse&#39;?" in answer.text
    answer = await client.get("/api/v1/nothing", headers=browser)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_probing_without_scripts_returns_to_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/targets/dev/validate", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 303
    assert httpx.URL(str(answer.url)).join(answer.headers["location"]).path == "/targets/dev"


def test_durations_and_ages_read_at_a_glance() -> None:
    durations = [formatters.milliseconds(s) for s in (None, 0.0004, 0.012, 1.25)]
    assert durations == ["–", "0.4 ms", "12 ms", "1.25 s"]
    ages = [formatters.ago(at, 1_000_000.0) for at in (None, 999_997.0, 999_000.0, 980_000.0, 500_000.0)]
    assert ages == ["never", "3 s ago", "17 min ago", "6 h ago", "6 d ago"]


async def test_one_is_no_plural(surface: Any, serving: Any, target_of: Any, result_of: Any) -> None:
    surface.add(target_of("once"), result_of("once"))
    surface.state.dropped = {"otlp": 1, "log": 2}
    async with serving(surface.app()) as client:
        detail = (await client.get("/targets/once")).text
        index = (await client.get("/")).text
    assert "The last 1 result, in memory" in detail
    assert "1 result kept" in detail
    assert "otlp dropped 1 event<" in index
    assert "log dropped 2 events<" in index


async def test_what_is_hidden_in_a_wide_table_does_not_widen_the_page(surface: Any, serving: Any) -> None:
    """It is positioned absolutely, so only a positioned container scrolls it. The style sheet alone is read,
    not what a browser makes of it."""
    async with serving(surface.app()) as client:
        style = (await client.get("/assets/page.css")).text
        pages = [(await client.get(path)).text for path in ("/", "/targets/dev")]
    rules = dict(re.findall(r"^([^@{}/\n]+?) \{ (.*?) \}$", style, re.MULTILINE))
    assert "position: absolute" in rules[".hidden"]
    assert "position: relative" in rules[".scroll"]
    assert "overflow-x: auto" in rules[".scroll"]
    for page in pages:
        assert page.count("<table") == len(re.findall(r'<div [^>]*class="scroll"[^>]*>\s*<table', page))
    assert pages[1].count("<table") > 0


async def test_maintenance_is_shown_beside_the_status(surface: Any, client: httpx.AsyncClient) -> None:
    targets = surface.state.targets
    targets["dev"] = targets["dev"].with_maintenance(Maintenance(NOW, NOW + 3600.5, "disks <are> moved"), 0.0)
    html = (await client.get("/")).text
    page = Page(html)
    assert "In maintenance until Nov 18, 12:06 UTC: dev" in page.text
    assert "maintenance until Nov 18, 12:06 UTC" in page.text
    assert "disks &lt;are&gt; moved" in html
    assert "1 in maintenance" in page.text
    html = (await client.get("/targets/dev")).text
    assert 'title="until 2026-11-18T12:06:40.500Z"' in html
    assert "disks &lt;are&gt; moved" in html
    row = (await client.get("/api/v1/targets/dev")).json()
    assert row["maintenance"] == {
        "since": "2026-11-18T11:06:40.000Z",
        "until": "2026-11-18T12:06:40.500Z",
        "reason": "disks <are> moved",
    }
    assert (await client.get("/api/v1/targets/lake")).json()["maintenance"] is None


async def test_a_trace_leads_to_where_traces_are_looked_at(
    surface: Any, serving: Any, target_of: Any, result_of: Any
) -> None:
    surface.add(target_of("traced"), result_of("traced", trace_id="4bf92f35"))
    for http, shown in (({}, 0), ({"trace_url": "https://traces.example/t/{trace_id}?a=1"}, 2)):
        async with serving(surface.app(**http)) as client:
            html = (await client.get("/targets/traced")).text
        assert html.count('href="https://traces.example/t/4bf92f35?a=1"') == shown
        assert html.count("4bf92f35<") == 2


@pytest.mark.parametrize("url", ["https://traces.example/", "javascript:{trace_id}", "/t/{trace_id}"])
def test_a_trace_url_is_an_address_with_a_place_for_the_id(url: str) -> None:
    with pytest.raises(ValueError, match="where the trace's id belongs"):
        HttpSettings.model_validate({"trace_url": url})


async def test_a_page_on_which_nothing_changed_is_not_sent_again(
    surface: Any, client: httpx.AsyncClient, result_of: Any
) -> None:
    """How long ago things were is no change."""
    surface.state.started_at = time.time()
    first = await client.get("/")
    assert first.headers["cache-control"] == "no-store"
    with anyio.fail_after(60):
        while (await client.get("/")).text.partition("<main")[2] == first.text.partition("<main")[2]:  # noqa: ASYNC110
            await anyio.sleep(0.05)
    for path in ("/", "/targets/dev", "/incidents"):
        held = {"if-none-match": (first if path == "/" else await client.get(path)).headers["etag"]}
        again = await client.get(path, headers=held)
        assert (again.status_code, again.content) == (304, b""), path
    held = {"if-none-match": (await client.get("/")).headers["etag"]}
    surface.add(surface.state.targets["dev"].target, result_of("dev", message="another"))
    assert (await client.get("/", headers=held)).status_code == 200


async def test_announcements_stand_above_the_list(surface: Any, client: httpx.AsyncClient) -> None:
    now = time.time()
    stands = Announcement("1", "Loads are <late> today", "Anna", "local", now, now + 600)
    over = Announcement("2", "yesterday", "Anna", "local", now - 900, now - 1)
    surface.state.declared = Declarations(announcements=(over, stands))
    html = (await client.get("/")).text
    assert "Loads are &lt;late&gt; today" in html
    assert "yesterday" not in html
