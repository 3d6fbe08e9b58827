"""The command line as a whole: version, help, and what an unexpected error looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor import __version__

if TYPE_CHECKING:
    import pytest


def test_version_and_help(call: Any) -> None:
    assert call("--version").out == f"floe-monitor {__version__}\n"
    said = call("--help")
    for word in (
        "run",
        "check",
        "wait",
        "config",
        "profiles",
        "plugins",
        "packages",
        "resources",
        "catalog-sql",
    ):
        assert word in said.out
    assert call("chek").code == 2
    assert "Did you mean 'check'?" in call("chek").err


def test_an_unexpected_error_is_short(call: Any, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from floe_monitor.cli import entry, selection

    def broken(*_: object, **__: object) -> int:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(selection, "select", broken)
    said = call("check")
    assert said.code == 70
    assert said.err.splitlines()[0] == "error: unexpected RuntimeError: first line"
    assert "Traceback" not in said.err
    assert entry.run(["check"], debug=True) == 70
