"""Maintenance and announcements declared over HTTP: in JSON, by the forms of the page, and ended."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.domain.declarations import MOST
from floe_monitor.domain.events import Acted, DeclarationsChanged
from floe_monitor.web.listener_identity import ListenerIdentity
from floe_monitor.web.openapi import build_document
from tests.web.test_access_control import ACCESS, TOKENS, bearer
from tests.web.test_openapi import described
from tests.web.test_page import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

MAINTENANCE, ANNOUNCEMENTS = "/api/v1/maintenance", "/api/v1/announcements"
ASKED: dict[str, Any] = {"targets": ["dev"], "duration": "2h", "reason": "disk", "author": "Anna"}
NETWORK = ListenerIdentity("network", "0.0.0.0")  # noqa: S104 - nothing is bound there
LOOPBACK = ListenerIdentity("loopback", "127.0.0.1")


@pytest.fixture
async def client(surface: Any, serving: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(surface.app(LOOPBACK)) as connected:
        yield connected


async def test_one_is_declared_listed_and_ended(surface: Any, client: httpx.AsyncClient) -> None:
    answer = await client.post(MAINTENANCE, json=ASKED)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["state"], made["targets"], made["labels"]) == ("in_force", ["dev"], None)
    assert (made["reason"], made["author"], made["by"]) == ("disk", "Anna", "local")
    assert (await client.get(MAINTENANCE)).json() == {"maintenance": [made]}
    [window] = [each.window for each in surface.state.declared.maintenance]
    assert window.applies("dev", {})
    assert not window.applies("lake", {})
    ended = (await client.post(f"{MAINTENANCE}/{made['id']}/end")).json()
    assert ended["state"] == "over"
    assert (await client.get(MAINTENANCE)).json() == {"maintenance": []}
    assert (await client.post(f"{MAINTENANCE}/{made['id']}/end")).status_code == 404
    changes = [event for event in surface.events if isinstance(event, DeclarationsChanged)]
    assert len(changes) == 2
    assert changes[-1].declared is surface.state.declared


async def test_for_later_by_label_and_for_all(client: httpx.AsyncClient) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    asked = {"labels": {"team": "core"}, "begins_at": later, "duration": "1h30m", "reason": "x"}
    made = (await client.post(MAINTENANCE, json=asked)).json()
    assert (made["state"], made["author"]) == ("planned", "local")
    whole = (await client.post(MAINTENANCE, json={"all": True, "duration": "1h", "reason": "x"})).json()
    assert (whole["targets"], whole["labels"]) == (None, None)
    assert (await client.post(f"{MAINTENANCE}/{made['id']}/end")).status_code == 200
    assert [each["id"] for each in (await client.get(MAINTENANCE)).json()["maintenance"]] == [whole["id"]]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"targets": None}, 422, "one of `targets`, `labels` and `all`"),
        ({"all": True}, 422, "one of `targets`, `labels` and `all`"),
        ({"targets": []}, 422, "targets"),
        ({"targets": ["dve"]}, 404, "did you mean 'dev'?"),
        ({"targets": None, "labels": {"team": "nobody"}}, 404, "no target has these labels"),
        ({"duration": "2"}, 422, "with its unit"),
        ({"duration": 7200}, 422, "with its unit"),
        ({"duration": "32d"}, 422, "duration"),
        ({"duration": "0s"}, 422, "duration"),
        ({"reason": "  "}, 422, "reason"),
        ({"reason": None}, 422, "reason"),
        ({"begins_at": "2026-11-26T10:00:00"}, 422, "begins_at"),
        ({"begins_at": "2000-01-01T00:00:00Z"}, 409, "over already"),
        ({"begins_at": "2999-01-01T00:00:00Z"}, 409, "more than a year"),
        ({"resaon": "x"}, 422, "resaon"),
    ],
)
async def test_what_cannot_be_is_refused(
    surface: Any, client: httpx.AsyncClient, change: dict[str, Any], status: int, said: str
) -> None:
    asked = {key: value for key, value in {**ASKED, **change}.items() if value is not None}
    answer = await client.post(MAINTENANCE, json=asked)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    described(build_document(), "post", MAINTENANCE, answer)
    assert surface.state.declared.maintenance == ()


async def test_other_media_types_are_refused(client: httpx.AsyncClient) -> None:
    for headers in ({"content-type": "text/plain"}, {}):
        answer = await client.post(MAINTENANCE, content=b"{}", headers=headers)
        assert answer.status_code == 415
    broken = await client.post(MAINTENANCE, content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 422


async def test_there_is_room_for_so_many(client: httpx.AsyncClient) -> None:
    said = {"text": "x", "duration": "1h"}
    for _ in range(MOST):
        assert (await client.post(ANNOUNCEMENTS, json=said)).status_code == 201
    answer = await client.post(ANNOUNCEMENTS, json=said)
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"there are {MOST} announcements already; end one first",
    )


async def test_an_announcement_stands_on_every_page_until_it_is_taken_back(
    client: httpx.AsyncClient,
) -> None:
    asked = {"text": "Maintenance <b>tonight</b>\n at 22:00", "duration": "1d", "author": "Anna"}
    made = (await client.post(ANNOUNCEMENTS, json=asked)).json()
    assert made["text"] == "Maintenance <b>tonight</b> at 22:00"
    for path in ("/", "/targets/dev", "/incidents", "/maintenance"):
        assert "Maintenance &lt;b&gt;tonight&lt;/b&gt; at 22:00" in (await client.get(path)).text, path
    assert (await client.post(f"{ANNOUNCEMENTS}/{made['id']}/end")).status_code == 200
    assert "tonight" not in (await client.get("/")).text
    assert (await client.get(ANNOUNCEMENTS)).json() == {"announcements": []}


async def test_only_public_ones_are_on_the_public_page(surface: Any, serving: Any) -> None:
    async with serving(surface.app(LOOPBACK, public_page={"targets": {"dev": "Dev"}})) as client:
        for public in (False, True):
            asked = {"text": f"said to {'all' if public else 'us'}", "duration": "1h", "public": public}
            await client.post(ANNOUNCEMENTS, json=asked)
        page = (await client.get("/public")).text
    assert "said to all" in page
    assert "said to us" not in page
    assert "local" not in page


async def test_the_forms_of_the_page_do_the_same(surface: Any, client: httpx.AsyncClient) -> None:
    form = {"targets": "dev, lake", "labels": "", "duration": "2h", "reason": "disk", "author": ""}
    answer = await client.post(MAINTENANCE, data=form)
    assert answer.status_code == 303
    assert str(answer.url.join(answer.headers["location"])) == f"{client.base_url}/maintenance"
    [one] = surface.state.declared.maintenance
    assert (one.targets, one.reason, one.author) == (("dev", "lake"), "disk", "local")
    await client.post(MAINTENANCE, data={"all": "on", "duration": "1h", "reason": "2024"})
    await client.post(MAINTENANCE, data={"labels": "team=core", "duration": "1h", "reason": "x"})
    assert [each.labels for each in surface.state.declared.maintenance] == [None, None, {"team": "core"}]
    await client.post(ANNOUNCEMENTS, data={"text": "tonight", "duration": "1d", "public": "on"})
    assert surface.state.declared.announcements[0].public
    html = (await client.get("/maintenance")).text
    page = Page(html)
    assert "dev, lake" in page.text
    assert "every target" in page.text
    assert "tonight" in page.text
    actions = re.findall(r'action="([^"]*/end)"', html)
    assert len(actions) == 4
    for action in actions:
        ended = await client.post(f"/{action}", data={})
        assert ended.status_code in (200, 303), ended.text
    assert surface.state.declared.announcements == ()
    assert "None stands" in (await client.get("/maintenance")).text


async def test_a_form_that_is_not_understood_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post(MAINTENANCE, data={"targets": "dev", "duration": "soon", "reason": "x"})
    assert answer.status_code == 422
    assert "duration" in answer.text


async def test_only_who_may_act_may_declare_and_each_is_in_the_audit(surface: Any, serving: Any) -> None:
    async with serving(surface.app(NETWORK, **ACCESS)) as client:
        for headers, status in (({}, 401), (bearer(TOKENS["reader"]), 403), (bearer(TOKENS["actor"]), 201)):
            assert (await client.post(MAINTENANCE, json=ASKED, headers=headers)).status_code == status
        [one] = surface.state.declared.maintenance
        assert (one.author, one.by) == ("Anna", "token actor")
        end = f"{MAINTENANCE}/{one.id}/end"
        assert (await client.post(end, headers=bearer(TOKENS["reader"]))).status_code == 403
        assert (await client.post(end, headers=bearer(TOKENS["actor"]))).status_code == 200
    acts = [(event.action, event.by, event.status) for event in surface.events if isinstance(event, Acted)]
    assert acts == [
        ("declare maintenance", "anonymous", 401),
        ("declare maintenance", "token reader", 403),
        ("declare maintenance", "token actor", 201),
        ("end maintenance", "token reader", 403),
        ("end maintenance", "token actor", 200),
    ]
    outcomes = [event.outcome for event in surface.events if isinstance(event, Acted)]
    assert outcomes[2] == f"maintenance {one.id} of 1 target: disk"


async def test_a_page_of_another_site_cannot_declare(client: httpx.AsyncClient) -> None:
    headers = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    form = {"all": "on", "duration": "1h", "reason": "x"}
    assert (await client.post(MAINTENANCE, data=form, headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "end"),
    [(MAINTENANCE, ASKED, "maintenance"), (ANNOUNCEMENTS, {"text": "x", "duration": "1h"}, "announcements")],
)
async def test_answers_are_as_described(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], end: str
) -> None:
    document = build_document()
    made = await client.post(path, json=body)
    described(document, "post", path, made)
    described(document, "get", path, await client.get(path))
    described(document, "post", path, await client.post(path, json={}))
    template = f"/api/v1/{end}/{{id}}/end"
    for identity in (made.json()["id"], "none"):
        described(document, "post", template, await client.post(f"{path}/{identity}/end"))
