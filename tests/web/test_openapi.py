"""The OpenAPI document: of every route, as it is checked in, and what the answers really are."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from deploy.openapi import CHECKED_IN, document_text
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.shards import Shard
from floe_monitor.web.openapi import build_document
from tests.harness.locked import needs_locked
from tests.web.test_incident_api import DB, NOW, fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

PAGES = {"/", "/targets/{name}", "/incidents", "/incidents/{id}", "/maintenance", "/public", "/assets/{file}"}
"""For people, in HTML."""


@pytest.fixture
async def client(surface: Any, serving: Any) -> AsyncIterator[httpx.AsyncClient]:
    public = {"targets": {"dev": "Dev"}}
    async with serving(surface.app(public_page=public)) as connected:
        yield connected


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document()


@pytest.fixture(scope="module")
def strict(document: dict[str, Any]) -> dict[str, Any]:
    """Without leave for keys that are not described."""
    closed = copy.deepcopy(document)
    for schema in closed["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return closed


def described(strict: dict[str, Any], method: str, path: str, answer: httpx.Response) -> None:
    """`path` as the document has it."""
    operation = strict["paths"][path][method]
    found = operation["responses"].get(str(answer.status_code))
    assert found is not None, f"{method} {path} answers {answer.status_code}, which is not described"
    if "$ref" in found:
        found = strict["components"]["responses"][found["$ref"].rpartition("/")[2]]
    media = answer.headers.get("content-type", "").partition(";")[0]
    assert media in (found.get("content") or {"": {}}), f"{method} {path} answers {media}"
    if media.endswith("json"):
        whole = {**found["content"][media]["schema"], "components": strict["components"]}
        validator = jsonschema.Draft202012Validator(
            whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        validator.validate(answer.json())


@needs_locked("pydantic")
def test_it_is_the_one_that_is_checked_in() -> None:
    told = "write it anew: python -m deploy.openapi"
    assert CHECKED_IN.read_text(encoding="utf-8") == document_text(), told


def test_it_describes_every_route_and_no_other(surface: Any, document: dict[str, Any]) -> None:
    routes = {
        (route.path, method.lower())
        for route in surface.app().routes
        for method in route.methods - {"HEAD"}
        if route.path not in PAGES
    }
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == routes


def test_each_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_its_schemas_are_schemas_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    names = [part.partition('"')[0] for part in text.split('"$ref": "#/components/')[1:]]
    assert len(names) > 50
    for name in names:
        kind, _, last = name.partition("/")
        assert last in document["components"][kind], name


async def test_it_is_served(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    for encoding in ("identity", "gzip"):
        answer = await client.get("/api/v1/openapi.json", headers={"accept-encoding": encoding})
        assert answer.json() == document
        held = {"if-none-match": answer.headers["etag"], "accept-encoding": encoding}
        assert (await client.get("/api/v1/openapi.json", headers=held)).status_code == 304


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
        ("/metrics", "/metrics"),
        ("/api/v1/openapi.json", "/api/v1/openapi.json"),
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/targets", "/api/v1/targets"),
        ("/api/v1/targets", "/api/v1/targets?fields=name,checks&limit=2"),
        ("/api/v1/targets", "/api/v1/targets?limit=x"),
        ("/api/v1/targets", "/api/v1/targets?limit=1000000000"),
        ("/api/v1/targets/{name}", "/api/v1/targets/warehouse"),
        ("/api/v1/targets/{name}", "/api/v1/targets/dev"),
        ("/api/v1/targets/{name}", "/api/v1/targets/fresh"),
        ("/api/v1/targets/{name}", "/api/v1/targets/nobody"),
        ("/api/v1/gate", "/api/v1/gate"),
        ("/api/v1/gate", "/api/v1/gate?targets=dev"),
        ("/api/v1/gate", "/api/v1/gate?targets=nobody"),
        ("/api/v1/gate", "/api/v1/gate?max_age=soon"),
        ("/api/v1/incidents", "/api/v1/incidents"),
        ("/api/v1/incidents", "/api/v1/incidents?state=opne"),
        ("/api/v1/incidents/{id}", "/api/v1/incidents/OPEN"),
        ("/api/v1/incidents/{id}", "/api/v1/incidents/ENDED"),
        ("/api/v1/incidents/{id}", "/api/v1/incidents/none"),
        ("/badges/{name}/{kind}.svg", "/badges/dev/status.svg"),
        ("/badges/{name}/{kind}.svg", "/badges/dev/uptime.svg?label=x"),
        ("/badges/{name}/{kind}.svg", "/badges/dev/latency.svg?labl=x"),
        ("/badges/{name}/{kind}.svg", "/badges/nobody/status.svg"),
        ("/public/badges/{name}/{kind}.svg", "/public/badges/Dev/status.svg"),
        ("/public/badges/{name}/{kind}.svg", "/public/badges/dev/status.svg"),
    ],
)
async def test_what_is_read_is_as_described(
    surface: Any, client: httpx.AsyncClient, strict: dict[str, Any], path: str, asked: str
) -> None:
    state = surface.state
    state.shard = Shard(0, 1, 1)
    state.dropped = {"otlp": 3}
    state.targets["lake"] = state.targets["lake"].with_maintenance(Maintenance(NOW, NOW + 60, "disk"), 0.0)
    ended = fail(surface, "over", NOW)
    state.incidents.left("over", NOW + 60)
    still = fail(surface, "a", NOW + 100, DB)
    fail(surface, "b", NOW + 101, DB)
    asked = asked.replace("OPEN", still).replace("ENDED", ended)
    for accept in ("application/json", "text/plain"):
        described(strict, "get", path, await client.get(asked, headers={"accept": accept}))


async def test_what_acts_is_as_described(
    surface: Any, client: httpx.AsyncClient, strict: dict[str, Any]
) -> None:
    validate = "/api/v1/targets/{name}/validate"
    described(strict, "post", validate, await client.post("/api/v1/targets/dev/validate"))
    described(strict, "post", validate, await client.post("/api/v1/targets/nobody/validate"))
    browser = await client.post("/api/v1/targets/dev/validate", headers={"accept": "text/html"})
    assert browser.status_code == 303
    described(strict, "post", validate, browser)
    surface.control.refuse = "no worker is free"
    described(strict, "post", validate, await client.post("/api/v1/targets/dev/validate"))
    described(strict, "post", "/-/reload", await client.post("/-/reload"))
    surface.control.problems = ("config.yaml:1:1: bad",)
    described(strict, "post", "/-/reload", await client.post("/-/reload"))


async def test_a_check_that_finds_what_is_not_described(
    client: httpx.AsyncClient, strict: dict[str, Any]
) -> None:
    """That the tests above can fail."""
    narrowed = copy.deepcopy(strict)
    del narrowed["components"]["schemas"]["TargetJson"]["properties"]["labels"]
    del narrowed["components"]["schemas"]["TargetDetailJson"]["properties"]["labels"]
    with pytest.raises(jsonschema.ValidationError, match="labels"):
        described(narrowed, "get", "/api/v1/targets/{name}", await client.get("/api/v1/targets/dev"))
