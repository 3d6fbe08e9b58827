"""Whatever a plugin returns comes out bounded and clean, or as a fault of the plugin's."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import (
    CheckResult,
    ComputeConfigurationError,
    ConnectionResult,
    ConnectionStatus,
    EngineState,
    ErrorType,
    Expiry,
    ExpiryKind,
    ObservedState,
)
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.registry import foreign_plugin
from floe_monitor.registry.foreign_plugin import (
    ContractError,
    adapt_checks,
    adapt_result,
    clean_text,
    describe_error,
)

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
NEVER = ("soon", True, None, -5, 0, math.inf, math.nan, 1e300, 253_402_300_799)


class TheirStatus(Enum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass
class TheirResult:
    status: Any = TheirStatus.HEALTHY
    latency_ms: Any = 1.5
    message: Any = "fine"
    warnings: Any = field(default_factory=list)


def test_a_result_of_ours_passes_unchanged() -> None:
    checks = (
        CheckResult("connect", HEALTHY, 1.0),
        CheckResult("extension:iceberg", DEGRADED, 2.0, "missing", ErrorType.EXTENSION, 1.0),
    )
    ends = (Expiry(ExpiryKind.TOKEN, 1_800_000_000.5, "the token in credentials.token"),)
    states = (ObservedState(EngineState.STARTING, 1_700_000_000.5),)
    result = ConnectionResult(
        DEGRADED, 3.0, "missing", ["old"], checks, ErrorType.EXTENSION, "db.example.com", ends, states
    )
    assert adapt_result(result) == result


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, []),
        ("token", []),
        ([SimpleNamespace(what="TOKEN", at=5)], [(ExpiryKind.TOKEN, 5.0, "")]),
        ([SimpleNamespace(what="token", at=at) for at in (5, 4)], [(ExpiryKind.TOKEN, 4.0, "")]),
        ([SimpleNamespace(what="passport", at=5), object(), None], []),
        ([SimpleNamespace(what="key", at=at) for at in NEVER], []),
        (
            [SimpleNamespace(what="key", at=9, of="s3cret-value\n" + "x" * 999)],
            [(ExpiryKind.KEY, 9.0, "*** " + "x" * 250 + "…")],
        ),
    ],
)
def test_expiries_are_taken_by_their_shape_or_dropped(given: Any, kept: list[Any]) -> None:
    theirs = SimpleNamespace(status="healthy", expiries=given, server_address="db\x00 s3cret-value")
    result = adapt_result(theirs, Redactor(["s3cret-value"]))
    assert [(each.what, each.at, each.of) for each in result.expiries] == kept
    assert result.server_address == "db ***"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, ()),
        ("running", ()),
        ([SimpleNamespace(state="RUNNING", at=5)], (ObservedState(EngineState.RUNNING, 5.0),)),
        ([SimpleNamespace(state="dreaming", at=5), object(), None], ()),
        ([SimpleNamespace(state="running", at=at) for at in NEVER], ()),
    ],
)
def test_states_of_an_engine_are_taken_by_their_shape_or_dropped(given: Any, kept: Any) -> None:
    assert adapt_result(SimpleNamespace(status="healthy", engine_states=given)).engine_states == kept


@pytest.mark.parametrize("status", [TheirStatus.HEALTHY, "healthy", "HEALTHY", HEALTHY])
def test_another_result_type_is_taken_by_its_shape(status: Any) -> None:
    assert adapt_result(TheirResult(status, warnings=["w"])) == ConnectionResult(HEALTHY, 1.5, "fine", ["w"])


def test_a_status_is_enough() -> None:
    assert adapt_result(SimpleNamespace(status="degraded")) == ConnectionResult(DEGRADED, 0.0)


@pytest.mark.parametrize(
    "value",
    [None, True, "healthy", {"status": "healthy"}, SimpleNamespace(status="great"), SimpleNamespace(), 3],
)
def test_what_has_no_status_is_a_fault_of_the_plugin(value: object) -> None:
    with pytest.raises(ContractError, match="not a result with a status"):
        adapt_result(value)


def test_a_result_that_cannot_be_read_is_a_fault_of_the_plugin() -> None:
    class Trap:
        status = "healthy"

        @property
        def message(self) -> str:
            raise ValueError("canary")

    class Sly:
        def __str__(self) -> str:
            raise KeyError("canary")

    for value in (Trap(), SimpleNamespace(status="healthy", message=Sly())):
        with pytest.raises(ContractError, match=r"^reading the result raised (ValueError|KeyError)$"):
            adapt_result(value)


def test_an_unhealthy_result_has_a_reason() -> None:
    assert adapt_result(TheirResult(TheirStatus.UNHEALTHY)).error_type is ErrorType.CONNECTION
    checks = (
        CheckResult("extension", DEGRADED, error_type=ErrorType.EXTENSION),
        CheckResult("login", UNHEALTHY, error_type=ErrorType.AUTHENTICATION),
    )
    assert adapt_result(ConnectionResult(UNHEALTHY, 1, checks=checks)).error_type is ErrorType.AUTHENTICATION
    unknown: Any = "cosmic rays"
    assert adapt_result(ConnectionResult(UNHEALTHY, 1, error_type=unknown)).error_type is ErrorType.CONNECTION
    assert adapt_result(ConnectionResult(DEGRADED, 1)).error_type is None
    assert adapt_result(ConnectionResult(HEALTHY, 1, error_type=ErrorType.QUERY)).error_type is None


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), -float("inf"), "12", None, True, 10**400])
def test_a_latency_that_is_none_is_zero(value: object) -> None:
    assert adapt_result(TheirResult(latency_ms=value)).latency_ms == 0.0


def test_texts_are_bounded_and_printable() -> None:
    assert clean_text("x" * 300_000) == "x" * 1999 + "…"
    assert clean_text(b"caf\xc3\xa9 \xff") == "café \ufffd"
    assert clean_text("a\ud800b") == "a\ufffdb"
    assert clean_text("\x1b[31mred\x1b[0m\r\n\tand\x00 more\u202e") == "red and more"
    assert clean_text(None) == ""


def test_a_secret_is_found_under_colours_and_in_the_name_of_a_class() -> None:
    redact = Redactor(["hunter2-canary"])
    assert clean_text("bad hun\x1b[31mter2-\x00can\nary\x1b[0m!", redact) == "bad ***!"
    assert clean_text(b"bad hunter2-\x1b]0;t\x07canary!", redact) == "bad ***!"
    error = type("Hunter2-canaryError", (Exception,), {})("no")
    assert describe_error(error, redact) == "***Error: no"
    with pytest.raises(ContractError) as caught:
        adapt_result(type("hunter2-canary", (), {})(), redact)
    assert redact(str(caught.value)) == "validate_connection returned a ***, not a result with a status"


def test_redaction_comes_before_cutting() -> None:
    secret = "canary-" + "k" * 300

    def redact(text: str) -> str:
        return text.replace(secret, "***")

    for before in (0, 1900, 1999, 60_000, 65_300, 65_530):
        text = "." * before + secret + "." * 300_000
        assert "canary" not in clean_text(text, redact)
        assert "canary" not in clean_text(" " * before + secret + "." * 300_000, redact)
    two_lines = "first\nsecond"
    assert clean_text(f"key {two_lines} end", lambda text: text.replace(two_lines, "***")) == "key *** end"


def test_checks_and_warnings_are_bounded() -> None:
    many = SimpleNamespace(
        status="degraded",
        warnings=[f"w{n}" for n in range(1000)],
        checks=[CheckResult(f"check:{n}", HEALTHY) for n in range(1000)],
    )
    result = adapt_result(many)
    assert len(result.checks) == 50
    assert len(result.warnings) == 50
    assert result.warnings[-1] == "… and 951 more"
    assert adapt_result(SimpleNamespace(status="degraded", warnings="one")).warnings == ["one"]
    forever: Any = iter(int, 1)
    assert adapt_result(SimpleNamespace(status="degraded", warnings=forever, checks=forever)).warnings == []


def test_check_names_are_mended_and_made_distinct() -> None:
    names = ["Run a query!", "query", "query", "", "9lives", "extension:ice/berg", "extension:"]
    checks = adapt_checks([CheckResult(name, HEALTHY) for name in names])
    assert [check.name for check in checks] == [
        "run_a_query_",
        "query",
        "query_2",
        "check",
        "lives",
        "extension:ice_berg",
        "extension",
    ]


def test_a_check_without_a_status_is_a_fault_of_the_plugin() -> None:
    with pytest.raises(ContractError, match="not a check with a status"):
        adapt_checks(["connect"])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.builds(SimpleNamespace, status=inner, name=inner, message=inner)
    ),
    max_leaves=4,
)


RESULT = st.builds(
    SimpleNamespace,
    status=st.sampled_from([*ConnectionStatus, "healthy"]) | ANYTHING,
    latency_ms=ANYTHING,
    message=ANYTHING,
    warnings=ANYTHING,
    checks=ANYTHING,
    error_type=ANYTHING,
)
NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(RESULT)
def test_anything_at_all(value: SimpleNamespace) -> None:
    try:
        result = adapt_result(value)
    except ContractError:
        return
    assert isinstance(result.status, ConnectionStatus)
    assert 0 <= result.latency_ms < math.inf
    texts = [result.message, *result.warnings, *(check.message for check in result.checks)]
    assert not any(NO_TEXT.search(text) or len(text) > foreign_plugin.MAX_TEXT for text in texts)
    json.dumps(texts).encode()
    "".join(texts).encode()
    names = [check.name for check in result.checks]
    assert len(set(names)) == len(names)
    assert adapt_result(result) == result


@given(st.text(st.characters()))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once


@given(st.text(max_size=200))
def test_every_check_name_becomes_a_label(name: str) -> None:
    assert foreign_plugin.CHECK_NAME.fullmatch(adapt_checks([CheckResult(name, HEALTHY)])[0].name)


def test_exceptions_are_described_whatever_they_do() -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_error(RudeError()) == "RudeError"
    assert describe_error(ValueError("bad\nthing")) == "ValueError: bad thing"
    assert (
        describe_error(ValueError("pw canary"), lambda text: text.replace("canary", "***"))
        == "ValueError: pw ***"
    )


class Bare:
    name = "bare"

    def get_resource_requirements(self, workload_size: str) -> object:
        return SimpleNamespace(cpu_request="1", cpu_limit="2")


def test_accessors_answer_for_what_a_plugin_lacks() -> None:
    bare: Any = Bare()
    config: Any = None
    assert foreign_plugin.default_isolation(bare) == "thread"
    assert foreign_plugin.default_isolation(bare, object())  # type: ignore[arg-type]
    assert foreign_plugin.default_isolation(bare) == "thread"
    assert foreign_plugin.db_system_name(bare) == "bare"
    assert foreign_plugin.config_schema(bare) is None
    assert foreign_plugin.catalog_configs(bare, config) == []
    assert foreign_plugin.catalog_attachment_sql(bare, config) is None
    spec = foreign_plugin.resource_requirements(bare, "small")
    assert (spec.cpu_request, spec.cpu_limit, spec.memory_limit) == ("1", "2", "1Gi")
    with pytest.raises(ComputeConfigurationError, match="bare plugin cannot import"):
        foreign_plugin.import_dbt_output(bare, {})


def test_accessors_pass_on_what_a_plugin_has() -> None:
    full: Any = SimpleNamespace(
        name="full",
        default_isolation="process",
        db_system_name="other",
        get_catalog_attachment_sql=lambda _: ("ATTACH",),
        import_dbt_output=lambda output: {"connection": output},
    )
    config: Any = None
    assert foreign_plugin.default_isolation(full) == "process"
    full.get_default_isolation = lambda config: config
    target: Any = "thread"
    assert foreign_plugin.default_isolation(full, target) == "thread"
    assert foreign_plugin.db_system_name(full) == "other"
    assert foreign_plugin.catalog_attachment_sql(full, config) == ["ATTACH"]
    assert foreign_plugin.import_dbt_output(full, {"a": 1}) == {"connection": {"a": 1}}
    full.get_catalog_attachment_sql = lambda _: "ATTACH"
    with pytest.raises(ContractError):
        foreign_plugin.catalog_attachment_sql(full, config)
