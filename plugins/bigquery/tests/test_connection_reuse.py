"""Kept connections and tokens: proved, replaced, and let go."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bigquery_answers import EVERYTHING
from conformance.bigquery_standin import StandIn, new_account
from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.deadline import running_until
from floe_monitor.compute.toolkit.connection_cache import HOLDS
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from floe_monitor.compute import ConnectionResult

    Again = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
ACCOUNT = "dbt@analytics.iam.gserviceaccount.com"
OF_ACCOUNT = f"of-{ACCOUNT}"
STEPS = ["credentials", "network", "token", "query", "dataset", "write"]


@pytest.fixture
def again(plugin: Any, keys: Callable[..., dict[str, Any]], keyfile: dict[str, Any], within: Any) -> Again:
    """One more validation of a target that keeps its connection; with a key, unless told."""
    private_key = keyfile.pop("private_key")
    given = {"method": "service-account-json", "keyfile_json": keyfile}

    def run(
        timeout: float = 5.0, *, settings: dict[str, Any] | None = None, **changes: Any
    ) -> ConnectionResult:
        connection = {**given, "credentials": {"private_key": private_key}, **changes}
        fields = {**keys(**connection), "connection_reuse": True, **(settings or {})}
        with within(timeout), running_until(Deadline.after(timeout)):
            result: ConnectionResult = plugin.validate_connection(build_config(plugin, fields))
        return result

    return run


@pytest.fixture
def fixed() -> dict[str, Any]:
    """A target with a fixed token."""
    return {"method": "oauth-secrets", "keyfile_json": None, "credentials": {"token": "good"}}


def told(result: ConnectionResult) -> dict[str, str]:
    return {check.name: check.message for check in result.checks}


def logins(standin: StandIn) -> int:
    return sum(path == "/token" for _, path, _, _ in standin.state.requests)


# ------------------------------------------------------------ while all is well


def test_one_login_serves_many_and_ends_with_the_plugin(again: Again, plugin: Any, standin: StandIn) -> None:
    first = again()
    assert told(first) == dict.fromkeys(STEPS, "")
    for _ in range(3):
        result = again()
        assert result.status is HEALTHY, result
        assert list(told(result)) == STEPS
        assert told(result)["network"] == HOLDS
        assert told(result)["token"].startswith("the token is good until 20")
    assert (logins(standin), standin.accepted, standin.open) == (1, 1, 1)
    dry_runs = [body for _, path, _, body in standin.state.requests if path.endswith("/jobs")]
    assert len(dry_runs) == 8, "asked anew each time"
    plugin.shutdown()
    settled(lambda: standin.open == 0)


def test_a_fixed_token_keeps_its_connection(again: Again, fixed: dict[str, Any], standin: StandIn) -> None:
    first, second = again(**fixed), again(**fixed)
    assert list(told(first)) == list(told(second)) == [step for step in STEPS if step != "token"]
    assert told(second)["network"] == HOLDS
    assert standin.accepted == 1


def test_nothing_is_kept_unasked(again: Again, plugin: Any, standin: StandIn) -> None:
    for _ in range(2):
        assert told(again(settings={"connection_reuse": False})) == dict.fromkeys(STEPS, "")
    assert logins(standin) == 2
    settled(lambda: standin.open == 0)
    assert "bigquery-idle" not in {thread.name for thread in threading.enumerate()}


def test_what_follows_the_login_is_asked_anew(again: Again, standin: StandIn) -> None:
    assert again().status is HEALTHY
    standin.state.tokens[OF_ACCOUNT] = EVERYTHING - {"tables.create"}
    assert (again().status, logins(standin)) == (DEGRADED, 1)
    standin.state.datasets["marts"] = "US"
    assert again().error_type is ErrorType.CONFIGURATION
    standin.state.tokens[OF_ACCOUNT] = EVERYTHING - {"jobs.create"}
    refused = again()
    assert (refused.status, refused.error_type) == (UNHEALTHY, ErrorType.PERMISSION)
    assert told(refused)["network"] == HOLDS
    assert logins(standin) == 1
    again()
    assert logins(standin) == 2, "after a failure all is proved anew"


# ------------------------------------------------------------ connections that broke


def test_a_connection_that_was_reset_is_replaced_within_the_probe(again: Again, standin: StandIn) -> None:
    with FaultProxy(standin.port) as proxy:
        given = {"api_endpoint": f"http://127.0.0.1:{proxy.port}"}
        again(**given)
        proxy.set(Fault.RESET)
        proxy.set(Fault.PASS)
        result = again(**given)
        assert result.status is HEALTHY, result
        assert "the token is good" in told(result)["token"]
        assert (proxy.accepted, logins(standin)) == (2, 1)
        proxy.set(Fault.REFUSE)
        proxy.set(Fault.RESET)
        result = again(**given)
        assert (result.checks[-1].name, result.error_type) == ("network", ErrorType.CONNECTION), result


def test_a_frozen_connection_is_replaced_within_the_probe(
    again: Again, standin: StandIn, unhurried: Any
) -> None:
    with FaultProxy(standin.port) as proxy:
        given = {"api_endpoint": f"http://127.0.0.1:{proxy.port}"}
        again(**given)
        # What is open has had its bytes, and freezes until another connection is tried.
        proxy.set(Fault.HANG_AFTER, after=0)
        before = proxy.accepted
        with once(lambda: proxy.accepted > before, lambda: proxy.set(Fault.PASS)):
            result = again(timeout=unhurried(1.5), **given)
        assert result.status is HEALTHY, result
        assert (told(result)["network"], logins(standin)) == ("", 1)
        proxy.set(Fault.FREEZE)
        result = again(timeout=0.6, **given)
        assert (result.checks[-1].name, result.error_type) == ("network", ErrorType.TIMEOUT), result


def test_an_answer_that_fails_is_no_proof(again: Again, standin: StandIn) -> None:
    again()
    standin.state.errors["/datasets/"] = (503, b"busy")
    result = again()
    assert (result.checks[-1].name, result.error_type) == ("dataset", ErrorType.CONNECTION)
    assert (told(result)["token"], logins(standin)) == ("", 2)


def test_never_idle_past_its_limit_nor_older_than_allowed(again: Again, standin: StandIn) -> None:
    again(settings={"connection_idle_seconds": 0.3})
    assert standin.open == 1
    settled(lambda: standin.open == 0)
    again(settings={"connection_max_age_seconds": 0.3})
    settled(lambda: standin.open == 0)
    settled(lambda: "bigquery-idle" not in {thread.name for thread in threading.enumerate()})


def test_use_does_not_make_it_younger(again: Again, standin: StandIn) -> None:
    """Neither does a connection that was replaced under the token."""
    with FaultProxy(standin.port) as proxy:
        given = {"api_endpoint": f"http://127.0.0.1:{proxy.port}"}
        until = time.monotonic() + 60
        while logins(standin) < 3:
            assert again(**given, settings={"connection_max_age_seconds": 0.5}).status is HEALTHY
            proxy.set(Fault.RESET)
            proxy.set(Fault.PASS)
            assert time.monotonic() < until


# ------------------------------------------------------------ tokens and what they come from


def test_a_token_refused_early_is_asked_for_again(again: Again, standin: StandIn) -> None:
    assert again().status is HEALTHY
    del standin.state.tokens[OF_ACCOUNT]
    result = again()
    assert result.status is HEALTHY, result
    assert (told(result)["token"], logins(standin)) == ("", 2)
    assert "the token is good" in told(again())["token"]
    del standin.state.tokens[OF_ACCOUNT]
    standin.state.accounts.clear()
    result = again()
    assert (result.checks[-1].name, result.error_type) == ("token", ErrorType.AUTHENTICATION), result


def test_a_fixed_token_that_is_refused(again: Again, fixed: dict[str, Any], standin: StandIn) -> None:
    assert again(**fixed).status is HEALTHY
    standin.state.tokens.clear()
    result = again(**fixed)
    assert (result.checks[-1].name, result.error_type) == ("query", ErrorType.AUTHENTICATION), result


@pytest.mark.parametrize(("lifetime", "expected"), [(220, 2), (240, 1)])
def test_a_token_about_to_end_is_not_used_again(
    again: Again, standin: StandIn, lifetime: int, expected: int
) -> None:
    """Google's library gives it up 225 seconds before."""
    standin.state.lifetime = lifetime
    assert [again().status, again().status] == [HEALTHY, HEALTHY]
    assert logins(standin) == expected


def test_a_login_with_a_problem_is_not_kept(again: Again, fixed: dict[str, Any], standin: StandIn) -> None:
    """A fixed token serves for now, beside a refresh token that was revoked."""
    secrets = {"token": "good", "refresh_token": "revoked", "client_secret": "client-secret"}
    given = {"client_id": "client", "token_uri": f"{standin.url}/token", "credentials": secrets}
    for expected in (1, 2):
        result = again(**{**fixed, **given})
        assert (result.status, logins(standin)) == (DEGRADED, expected), result


def test_anything_that_changes_is_proved_by_a_new_login(again: Again, standin: StandIn) -> None:
    assert again().status is HEALTHY
    assert again(location=None).status is HEALTHY
    assert logins(standin) == 2
    other = new_account(ACCOUNT, "")[0]["private_key"]
    result = again(credentials={"private_key": other})
    assert (result.checks[-1].name, result.error_type) == ("token", ErrorType.AUTHENTICATION), result
    assert told(again())["network"] == HOLDS


@pytest.mark.parametrize("kind", ["keyfile", "named", "gcloud's"])
def test_a_file_that_changes_is_proved_by_a_new_login(
    again: Again,
    standin: StandIn,
    keyfile: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    content, public = new_account(ACCOUNT, f"{standin.url}/token")
    standin.state.accounts[ACCOUNT] = public
    path = tmp_path / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    given: dict[str, Any] = {"method": "oauth", "keyfile_json": None, "credentials": {}}
    if kind == "keyfile":
        given |= {"method": "service-account", "keyfile": str(path)}
    elif kind == "named":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    assert [again(**given).status, again(**given).status, logins(standin)] == [HEALTHY, HEALTHY, 1]
    path.write_text(json.dumps({**content, "client_email": "gone@analytics.iam.gserviceaccount.com"}))
    result = again(**given)
    assert (result.checks[-1].name, result.error_type) == ("token", ErrorType.AUTHENTICATION), result


@pytest.fixture
def google(
    standin: StandIn, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    """Google's own addresses, through a proxy that answers for them."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with StandIn(authority=authority) as google:
        google.state.accounts = standin.state.accounts
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        yield google


def test_impersonation_through_a_proxy(
    again: Again, plugin: Any, google: StandIn, keyfile: dict[str, Any], tmp_path: Path
) -> None:
    keyfile["token_uri"] = "https://oauth2.googleapis.com/token"
    given: dict[str, Any] = {"api_endpoint": None, "impersonate_service_account": ACCOUNT}
    first = again(**given)
    asked = logins(google)
    second = again(**given)
    assert second.status is HEALTHY, second
    assert list(told(first)) == list(told(second))
    kept = {name: message for name, message in told(second).items() if message}
    assert kept == {
        "network": HOLDS,
        "token": HOLDS,
        "impersonation": "the token is good until 2099-01-01 00:00:00 UTC",
    }
    assert logins(google) == asked
    with (tmp_path / "ca.pem").open("a") as roots:
        roots.write("\n")
    assert told(again(**given))["network"] == ""
    plugin.shutdown()
    settled(lambda: google.open == 0)
