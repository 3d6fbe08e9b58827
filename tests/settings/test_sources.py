"""Where settings come from, in their order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from floe_monitor.settings import Settings, load
from floe_monitor.settings.files import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_what_is_searched_for_secrets_is_what_is_validated(refused: Callable[..., list[str]]) -> None:
    text = "targets: {dev: {plugin: x, connection: {password: hunter2}}}\n"
    environ = {"FLOE_MONITOR_TARGETS__DEV": "text", "FLOE_MONITOR_TARGETS__DEV__THREADS": "2"}
    (problem,) = refused(text, environ)
    assert problem.startswith(
        "config.yaml:1:41: targets.dev.connection.password: a literal secret is refused"
    )


def test_settings_made_of_values_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_MONITOR_HISTORY", "7")
    monkeypatch.setenv("HISTORY", "8")
    assert Settings.model_validate({"http": {"port": 1}}).history.results == 20
    assert Settings().history.results == 20
    assert Settings.model_validate({"history": 3}).history.results == 3


def test_the_sources_in_their_order(read: Callable[..., Settings], here: Path) -> None:
    secrets = here / "secrets"
    secrets.mkdir()
    (secrets / "FLOE_MONITOR_HISTORY").write_text("2\n")
    (secrets / "floe_monitor_http__port").write_text("2\r\n")
    (secrets / "FLOE_MONITOR_TARGETS__A_B__THREADS").write_text("2")
    (secrets / "README").write_text("\xff")
    text = "history: 1\nhttp: {port: 1, host: one}\nlog: {level: error}\ntargets: {a-b: {plugin: x}}\n"
    environ = {"FLOE_MONITOR_SECRETS_DIR": "secrets", "FLOE_MONITOR_HTTP__PORT": "3"}
    settings = read(text, environ)
    assert (settings.log.level, settings.history.results, settings.http.port) == ("error", 2, 3)
    assert (settings.http.host, settings.targets["a-b"].threads) == ("one", 2)


def test_faults_of_secret_files_have_their_place(refused: Callable[..., list[str]], here: Path) -> None:
    environ = {"FLOE_MONITOR_SECRETS_DIR": "secrets"}
    assert refused("history: 1\n", environ) == [
        "environment variable FLOE_MONITOR_SECRETS_DIR: secrets is no directory"
    ]
    (here / "secrets").mkdir()
    (here / "secrets/FLOE_MONITOR_HISTORY").write_text("many")
    (here / "secrets/FLOE_MONITOR_HTTP__PORT").write_bytes(b"\xff")
    (here / "secrets/FLOE_MONITOR_HISTORI").write_text("1")
    os.mkfifo(here / "secrets/FLOE_MONITOR_LOG__LEVEL")
    assert refused("history: 1\n", environ) == [
        "secrets/FLOE_MONITOR_HISTORI: sets nothing; did you mean 'FLOE_MONITOR_HISTORY'?",
        "secrets/FLOE_MONITOR_HISTORY: must be a number, a list or a mapping in JSON",
        "secrets/FLOE_MONITOR_HTTP__PORT: is not UTF-8",
        "secrets/FLOE_MONITOR_LOG__LEVEL: is no regular file",
    ]


def test_a_secret_file_that_changes_is_seen(here: Path) -> None:
    (here / "config.yaml").write_text("history: 1\n")
    (here / "secrets").mkdir()
    loaded = load(here / "config.yaml", {"FLOE_MONITOR_SECRETS_DIR": str(here / "secrets")})
    assert digest_of(loaded.watched) == loaded.digest
    (here / "secrets/FLOE_MONITOR_HISTORY").write_text("2")
    assert digest_of(loaded.watched) != loaded.digest
    again = load(here / "config.yaml", {"FLOE_MONITOR_SECRETS_DIR": str(here / "secrets")})
    assert (again.settings.history.results, digest_of(again.watched)) == (2, again.digest)
