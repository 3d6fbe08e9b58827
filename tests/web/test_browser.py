"""The pages in a real browser: kept current, on a phone, by keyboard, without scripts, and for everybody."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from floe_monitor.compute.models import CheckResult, ConnectionStatus
from floe_monitor.domain.declarations import Announcement, Declarations, OneOffMaintenance
from floe_monitor.domain.events import ProbeFinished
from floe_monitor.domain.health import Health, HealthStatus, Transition
from tests.harness.browser import Browser
from tests.web.conftest import NOW
from tests.web.test_incident_api import fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = importlib.util.find_spec("axe_playwright_python")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""axe's own default leaves those of WCAG 2.2 out."""

pytestmark = [
    pytest.mark.gate,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed (Debian package chromium)"),
]
FOCUSED = "document.activeElement.id || document.activeElement.textContent.trim()"


@pytest.fixture
async def url(surface: Any, serving: Any) -> AsyncIterator[str]:
    public = {"targets": {"dev": "Development", "warehouse": "Warehouse"}}
    async with serving(surface.app(public_page=public)) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., Any]:
    """Runs `steps(browser)` in a thread, beside the server."""

    async def run(steps: Callable[[Browser], Any], **options: Any) -> Any:
        def in_thread() -> Any:
            with Browser(str(BROWSER), tmp_path, **options) as browser:
                return steps(browser)

        return await anyio.to_thread.run_sync(in_thread)

    return run


def declared() -> Declarations:
    """Long words, as people write them."""
    long = "one-word-without-a-break-" * 8
    one = OneOffMaintenance("one", NOW, NOW * 2, long, "Anna", "user anna", NOW, ("dev", "warehouse"))
    said = Announcement("said", f"Tonight: {long}", "Anna", "user anna", NOW, NOW * 2, public=True)
    return Declarations((one, replace(one, id="all", targets=None)), (said,))


def fails(surface: Any, result_of: Any, name: str, message: str) -> None:
    """As the daemon has it: first the state, then the event."""
    result = result_of(name, ConnectionStatus.UNHEALTHY, message=message)
    surface.add(surface.state.targets[name].target, result)
    moved = Transition(HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, NOW, 5.0)
    surface.feed.handle(ProbeFinished(result, Health(HealthStatus.UNHEALTHY, NOW), moved))


async def test_what_changes_is_shown_and_what_is_typed_stays(
    surface: Any, url: str, browse: Any, result_of: Any
) -> None:
    surface.state.targets = {"dev": surface.state.targets["dev"]}

    def steps(browser: Browser) -> None:
        browser.open(url + "/")
        browser.wait_for("document.title.startsWith('✓')")
        assert "icon-healthy" in browser.value("document.getElementById('icon').href")
        browser.value("document.getElementById('search').focus()")
        browser.type("ware")
        fails(surface, result_of, "dev", "seen by the stream alone")
        browser.wait_for("document.body.innerText.includes('seen by the stream alone')")
        browser.wait_for("document.title.startsWith('✕ 1 unhealthy')")
        assert "dev is unhealthy" in browser.value("document.querySelector('h1').textContent")
        assert "icon-unhealthy" in browser.value("document.getElementById('icon').href")
        assert browser.value("document.getElementById('search').value") == "ware"
        assert browser.value(FOCUSED) == "search"
        assert browser.value("document.getElementById('toggle').textContent") == "Live"
        assert browser.value("document.getElementById('stale').textContent") == ""

    await browse(steps)


async def test_sections_come_and_go_with_what_they_show(
    surface: Any, url: str, browse: Any, result_of: Any
) -> None:
    known = surface.state.targets["dev"]
    shown = "document.getElementById('checks')"

    def published(**keys: Any) -> None:
        result = result_of("dev", **keys)
        surface.add(known.target, result)
        surface.feed.handle(ProbeFinished(result, known.health, None))

    def steps(browser: Browser) -> None:
        published(checks=(), message="none looked at")
        browser.open(url + "/targets/dev")
        browser.wait_for("document.body.innerText.includes('none looked at')")
        assert browser.value(f"{shown} === null")
        while "dev" not in surface.feed._watched:
            browser.wait_for("true")
        published(checks=(CheckResult("query", ConnectionStatus.HEALTHY, 1.0),), message="one looked at")
        browser.wait_for(f"{shown}?.innerText.includes('query')")
        assert browser.value(f"{shown}.nextElementSibling.id") == "failures"
        published(checks=(), message="none any more")
        browser.wait_for(f"{shown} === null")

    await browse(steps)


async def test_a_target_is_kept_current_by_its_results(
    surface: Any, url: str, browse: Any, result_of: Any
) -> None:
    def steps(browser: Browser) -> None:
        browser.open(url + "/targets/dev")
        browser.wait_for("document.querySelectorAll('#history tbody tr').length === 2")
        browser.value("document.getElementById('configuration').open = true")
        result = result_of("dev", started_at=NOW + 60, message="once more")
        known = surface.state.targets["dev"]
        surface.add(known.target, *known.history, result)
        while "dev" not in surface.feed._watched:
            browser.wait_for("true")
        surface.feed.handle(ProbeFinished(result, known.health, None))
        browser.wait_for("document.querySelectorAll('#history tbody tr').length === 3")
        assert browser.value("document.getElementById('configuration').open") is True
        assert "once more" in browser.value("document.getElementById('overall').textContent")
        surface.control.delay = 0.0
        browser.value("document.getElementById('validate').click()")
        browser.wait_for("document.activeElement.id === 'validate'")
        assert surface.control.validated == ["dev"]

    await browse(steps)


async def test_filters_stand_in_the_address_and_need_no_script(surface: Any, url: str, browse: Any) -> None:
    names = "[...document.querySelectorAll('.row a')].map(each => each.textContent)"

    def steps(browser: Browser) -> None:
        for scripts in (True, False):
            browser.allow_scripts(scripts)
            browser.open(url + "/")
            browser.value("document.getElementById('search').focus()")
            browser.type("REFUSED")
            browser.press("Enter")
            browser.wait_for("location.search.includes('search=REFUSED')")
            browser.wait_for(f"document.readyState === 'complete' && {names}.length === 1")
            assert browser.value(names) == ["warehouse"]
            browser.open(url + "/?label=team%3Dcore&group=team")
            assert browser.value(names) == ["dev"]
            assert browser.value("document.getElementById('label').value") == "team=core"
            assert browser.value("document.querySelector('h2.group').textContent.trim()").startswith(
                "team: core"
            )
            browser.open(url + "/?plugin=postgres")
            assert browser.value("document.getElementById('plugin').value") == "postgres"
            browser.value("document.getElementById('chip-degraded').click()")
            browser.wait_for("location.search === '?plugin=postgres&status=degraded'")
            browser.wait_for("document.body.innerText.includes('No target matches')")

    await browse(steps)


async def test_a_page_is_as_wide_as_the_phone(
    surface: Any, url: str, browse: Any, target_of: Any, result_of: Any
) -> None:
    """Whatever is in it; no row and no table has anything to the right of the screen."""
    name = "a-target-with-a-long-name-" * 4
    labels = {f"label_number_{n}": "with-a-long-value" for n in range(6)}
    surface.add(target_of(name, labels=labels), result_of(name, message="one-word-without-a-break-" * 12))
    incident = fail(surface, name, NOW)
    surface.state.declared = declared()
    size = (
        "[innerWidth, document.documentElement.scrollWidth, "
        "...[...document.querySelectorAll('.row, .scroll')].map(each => each.scrollWidth - each.clientWidth)]"
    )

    def steps(browser: Browser) -> list[list[int]]:
        pages = ["/", "/?group=label_number_1", f"/targets/{name}", "/targets/dev", "/targets/nobody"]
        pages += ["/incidents", f"/incidents/{incident}", "/maintenance", "/public"]
        return [browser.evaluate(url + page, size) for page in pages]

    for measured in await browse(steps, width=390):
        assert measured[:2] == [390, 390]
        assert set(measured[2:]) <= {0}


async def test_everything_is_reached_by_keyboard(surface: Any, url: str, browse: Any) -> None:
    def steps(browser: Browser) -> None:
        browser.open(url + "/")
        browser.press("Tab")
        assert browser.value(FOCUSED) == "Skip to content"
        browser.press("Enter")
        browser.wait_for("location.hash === '#content'")
        reached = []
        for _ in range(60):
            browser.press("Tab")
            if browser.value("document.activeElement === document.body"):
                break
            reached.append(browser.value(FOCUSED))
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert browser.value(outline) != "none", reached[-1]
        for wanted in ("search", "status", "plugin", "apply", "chip-unhealthy", "t-warehouse", "readyz"):
            assert wanted in reached
        browser.value("document.querySelector('details.fold summary').focus()")
        browser.press("Enter")
        browser.wait_for("document.querySelector('details.fold').open")
        browser.press("Tab")
        assert browser.value(FOCUSED) == "t-dev"
        browser.press("Enter")
        browser.wait_for("location.pathname === '/targets/dev'")

    await browse(steps)


@pytest.mark.skipif(AXE is None, reason="axe is not installed (make .venv/dev.done)")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_nothing_keeps_anybody_out(surface: Any, url: str, browse: Any, dark: bool, width: int) -> None:
    """By axe-core, WCAG 2.2 AA among its rules."""
    assert AXE is not None
    assert AXE.origin is not None
    axe = (Path(AXE.origin).parent / "axe.min.js").read_text()
    run = f"axe.run(document, {{runOnly: {json.dumps(RULES)}}})"
    told = ".then(found => found.violations.map(each => [each.id, ...each.nodes.map(node => node.html)]))"

    incident = fail(surface, "dev", NOW)
    surface.state.declared = declared()
    paths = ["/", "/?group=team", "/targets/dev", "/targets/warehouse", "/targets/fresh", "/nothing"]
    paths += ["/incidents", f"/incidents/{incident}", "/maintenance", "/public"]

    def steps(browser: Browser) -> dict[str, Any]:
        browser.emulate(width=width, dark=dark)
        found = {}
        for path in paths:
            browser.open(url + path)
            browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
            browser.value(axe + ";0")
            version, violations = browser.value(f"{run}{told}.then(found => [axe.version, found])")
            assert int(version.split(".")[1]) >= 8, "older ones know no WCAG 2.2"
            if violations:
                found[path] = violations
        return found

    assert await browse(steps) == {}
