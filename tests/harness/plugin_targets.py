"""A pytest plugin: what the tests of the plugins share.

Of a plugin's own are `plugin_class`, `standin_class`, and `keys`, which makes those of a target on `standin`.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from floe_monitor.compute import ComputePlugin, ConnectionResult

NETWORK_SETTINGS = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SOCKS_PROXY", "http_proxy", "https_proxy",
    "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
)  # fmt: skip


def target(
    plugin: str, connection: Mapping[str, Any], credentials: Mapping[str, str] | None
) -> dict[str, Any]:
    """Its keys; one of `connection` that is None is left out."""
    given = {key: value for key, value in connection.items() if value is not None}
    return {"plugin": plugin, "connection": given, "credentials": dict(credentials or {})}


@pytest.fixture
def no_network_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the machine's proxies, roots and passwords."""
    for name in NETWORK_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def launch(standin_class: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Makes stand-ins in these states, which end with the test."""
    with ExitStack() as running:
        yield lambda **state: running.enter_context(standin_class(**state))


@pytest.fixture
def standin(launch: Callable[..., Any]) -> Any:
    return launch()


@pytest.fixture
def plugin(plugin_class: Callable[[], ComputePlugin[Any]]) -> Iterator[ComputePlugin[Any]]:
    made = plugin_class()
    yield made
    made.shutdown()


@pytest.fixture
def probe(
    plugin: ComputePlugin[Any], keys: Callable[..., dict[str, Any]], within: Any, unhurried: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, with the result held to its deadline; `changes` are for `keys`."""

    def run(timeout: float | None = None, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        timeout = unhurried(5.0) if timeout is None else timeout
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run
