"""HTTP as dbt's driver does it: roots, proxies, logins of a .netrc file; and what is done otherwise."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import requests
from floe_monitor_bigquery.errors import AnsweredError, UnusableAnswerError
from floe_monitor_bigquery.transport import MAX_BYTES, Transport, content_of, new_client, roots

from conformance.bigquery_answers import refusal
from conformance.bigquery_standin import StandIn
from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


@pytest.fixture
def transport() -> Iterator[Transport]:
    client = new_client(BlockingCalls())
    warnings: list[str] = []
    yield Transport(client, Deadline.after(10), warnings.append)
    client.close()
    assert warnings == []


# ------------------------------------------------------------ TLS roots


def test_the_roots_are_those_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert roots() == certifi.where() == requests.utils.DEFAULT_CA_BUNDLE_PATH
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, f"/of/{name}")
        merged = requests.Session().merge_environment_settings("https://a", {}, None, None, None)
        assert roots() == merged["verify"] == f"/of/{name}"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_roots_of_either_variable_are_trusted(
    probe: Probe, authority: trustme.CA, root: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with StandIn(authority=authority) as google:
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        assert "certificate" in probe(api_endpoint=None).message
        monkeypatch.setenv(variable, str(root))
        assert probe(api_endpoint=None).status is HEALTHY


def test_roots_that_cannot_be_read(
    probe: Probe, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with StandIn(authority=authority) as google:
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        result = probe(api_endpoint=None)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION), result
    assert "cannot read the TLS roots" in result.message


# ------------------------------------------------------------ proxies


def test_a_proxy_that_is_none(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@:0x/")
    result = probe(api_endpoint=None)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION), result
    assert "HTTPS_PROXY" in result.message
    assert "canary" not in result.message


def test_no_proxy_for_what_is_excepted(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    refused = probe()
    assert (refused.status, refused.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert "by the proxy 127.0.0.1 port 1" in refused.message
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    assert probe().status is HEALTHY


# ------------------------------------------------------------ logins of a .netrc file


@pytest.mark.parametrize(
    ("content", "login"),
    [
        ("machine 127.0.0.1 login somebody password canary\n", "somebody:canary"),
        ("default login anybody password canary\n", "anybody:canary"),
        ("machine 127.0.0.1 account only password canary\n", "only:canary"),
        ("machine elsewhere login somebody password canary\n", None),
        ("machine 127.0.0.1 login somebody passwort canary\n", None),
        (None, None),
    ],
)
def test_a_netrc_login_replaces_the_token_as_in_requests(
    transport: Transport, standin: StandIn, tmp_path: Path, content: str | None, login: str | None
) -> None:
    if content is not None:
        (tmp_path / "netrc").write_text(content)
    headers = {"Authorization": "Bearer good"}
    requests.get(f"{standin.url}/", headers=headers, timeout=10)
    transport.send("GET", f"{standin.url}/", headers=headers)
    sent = [received["authorization"] for _, _, received, _ in standin.state.requests]
    expected = "Bearer good" if login is None else f"Basic {base64.b64encode(login.encode()).decode()}"
    assert sent == [expected, expected]


def test_a_netrc_login_is_refused_by_the_api_as_it_is_for_dbt(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login somebody password canary\n")
    result = probe()
    assert (result.checks[-1].name, result.error_type) == ("query", ErrorType.AUTHENTICATION), result


def test_a_netrc_that_is_a_pipe_is_not_waited_for(probe: Probe, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "netrc")
    assert probe(timeout=2).status is HEALTHY


def test_the_home_directorys_netrc(
    transport: Transport, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "_netrc").write_text("default login second password canary\n")
    transport.send("GET", standin.url)
    (tmp_path / ".netrc").write_text("default login first password canary\n")
    transport.send("GET", standin.url)
    sent = [headers["authorization"].removeprefix("Basic ") for _, _, headers, _ in standin.state.requests]
    assert [base64.b64decode(each).decode() for each in sent] == ["second:canary", "first:canary"]


# ------------------------------------------------------------ answers


def test_an_answer_is_asked_for_as_it_is(transport: Transport, standin: StandIn) -> None:
    transport.send("GET", standin.url)
    assert standin.state.requests[-1][2]["accept-encoding"] == "identity"


def test_the_largest_answer_and_one_that_is_larger(transport: Transport, standin: StandIn) -> None:
    standin.state.errors["/large"] = (200, b"x" * MAX_BYTES)
    assert len(transport.send("GET", f"{standin.url}/large").data) == MAX_BYTES
    standin.state.errors["/large"] = (200, b"x" * (MAX_BYTES + 1))
    with pytest.raises(
        UnusableAnswerError, match=rf"^127\.0\.0\.1:{standin.port} answered with more than 1048576 bytes$"
    ):
        transport.send("GET", f"{standin.url}/large")


def test_a_portals_answer(transport: Transport, standin: StandIn) -> None:
    standin.state.errors["/jobs"] = (200, b"<html>welcome to the hotel</html>")
    answer = transport.send("POST", f"{standin.url}/jobs", b"{}")
    with pytest.raises(
        UnusableAnswerError, match=rf"^127\.0\.0\.1:{standin.port} answered 200 with no JSON object$"
    ):
        content_of(f"{standin.url}/jobs", answer)


def test_nesting_without_end_is_no_json(transport: Transport, standin: StandIn) -> None:
    standin.state.errors["/jobs"] = (200, b"[" * 200_000)
    with pytest.raises(UnusableAnswerError, match="no JSON object"):
        content_of(standin.url, transport.send("GET", f"{standin.url}/jobs"))


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirection_of_a_post_is_not_followed(transport: Transport, standin: StandIn, status: int) -> None:
    """What it carries is a secret of the token endpoint's alone."""
    standin.state.moved["/token"] = (status, f"{standin.url}/elsewhere")
    with pytest.raises(AnsweredError) as caught:
        transport(f"{standin.url}/token", "POST", b"secret")
    assert caught.value.status == status
    assert [path for _, path, _, _ in standin.state.requests] == ["/token"]


def test_a_redirection_of_a_get_is_followed_without_the_token(transport: Transport, standin: StandIn) -> None:
    with StandIn() as other:
        other.state.errors["/there"] = (200, b"{}")
        standin.state.moved["/here"] = (302, f"{other.url}/there")
        answer = transport(f"{standin.url}/here", headers={"Authorization": "Bearer good"})
        assert (answer.status, answer.data) == (200, b"{}")
        assert "authorization" not in other.state.requests[-1][2]


def test_a_token_in_a_refusal_is_not_told(probe: Probe, standin: StandIn) -> None:
    standin.state.tokens["canary-token"] = standin.state.tokens["good"]
    for path, reason in (("/jobs", "rateLimitExceeded"), ("/datasets/", "accessDenied")):
        standin.state.errors = {path: refusal(403, reason, "canary-token is refused")}
        result = probe(credentials={"token": "canary-token"})
        assert result.status is DEGRADED, result
        assert "*** is refused" in result.message
        assert not any("canary" in check.message for check in result.checks)


# ------------------------------------------------------------ shortages, and what is imported

SHORTAGE = """
import json, os, resource, sys
from floe_monitor.compute import Deadline, MonitorResourceError
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from floe_monitor_bigquery import BigQueryComputePlugin

plugin = BigQueryComputePlugin()
config = build_config(plugin, json.load(sys.stdin))
plugin.prepare(config)
highest = max(int(name) for name in os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (highest, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
with running_until(Deadline.after(10)):
    try:
        print(plugin.validate_connection(config))
    except MonitorResourceError as error:
        print(error)
"""


@pytest.mark.process
def test_a_shortage_of_descriptors_is_the_monitors(
    keys: Callable[..., dict[str, Any]], standin: StandIn
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORTAGE], input=json.dumps(keys()),
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "file descriptors" in done.stdout, (done.stdout, done.stderr)
    assert standin.accepted == 0


@pytest.mark.process
@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, False),
        ({"method": "service-account", "keyfile": "/nowhere/key.json", "credentials": {}}, False),
        ({"method": "oauth", "credentials": {}}, True),
    ],
)
def test_requests_loads_where_googles_library_needs_it_alone(
    keys: Callable[..., dict[str, Any]], changes: dict[str, Any], *, needs: bool
) -> None:
    code = (
        "import json, sys\n"
        "from floe_monitor.registry.config_validation import build_config\n"
        "from floe_monitor_bigquery import BigQueryComputePlugin\n"
        "plugin = BigQueryComputePlugin()\n"
        "plugin.prepare(build_config(plugin, json.load(sys.stdin)))\n"
        "print('requests' in sys.modules, 'urllib3' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(keys(**changes)),
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == [str(needs), str(needs)]
