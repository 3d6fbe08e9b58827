"""The whole daemon as its users meet it: a process, its port, its files, its signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Any]

pytestmark = pytest.mark.e2e

CANARIES = {
    "CANARY_ENV": "canary-env-7Q!x/+=%&",
    "CANARY_INLINE": "canary-inline-9Z'\"\\",
    "CANARY_UNUSED": "canary-unused-55",
}
LAST_VALIDATION = "floe_compute_target_last_validation_timestamp_seconds"
SHOWN = re.compile(r"canary|63616e617279|Y2FuYXJ5|NhbmFye|jYW5hcn|%63%61%6e%61", re.IGNORECASE)
"""The beginning of each canary, plain and encoded; names of variables are in capitals with an underscore."""


def test_duckdb_is_watched_exported_and_kept_in_profiles(start_daemon: Start, tmp_path: Path) -> None:
    daemon = start_daemon(
        """
profiles: [{name: floe_project, path: var/profiles.yml, target: dev}]
targets:
  dev: {plugin: duckdb, threads: 4, connection: {path: ":memory:"}}
"""
    )
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="dev") == 1)
    assert daemon.metric("floe_compute_target_status", target="dev", plugin="duckdb") == 1
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    assert daemon.get("/healthz")[0] == 200
    profiles = yaml.safe_load(daemon.until((tmp_path / "var/profiles.yml").read_text))
    assert profiles["floe_project"]["target"] == "dev"
    assert profiles["floe_project"]["outputs"]["dev"]["type"] == "duckdb"
    assert daemon.metric("floe_monitor_profile_in_sync", profile="floe_project") == 1
    assert "dev" in daemon.get("/", Accept="text/html")[1]
    assert daemon.stop() == 0


def test_the_first_result_is_served_within_seconds_of_start(start_daemon: Start) -> None:
    # The claim is 1.5 s on a quiet machine (benchmarks); here only that nothing waits for an interval.
    daemon = start_daemon(
        'probe: {interval: 1h}\ntargets: {dev: {plugin: duckdb, connection: {path: ":memory:"}}}'
    )
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="dev") == 1)


def test_targets_that_fail_by_one_cause_are_one_incident(start_daemon: Start) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens
        port = held.getsockname()[1]
        connection = f"{{host: 127.0.0.1, port: {port}, user: u, dbname: d, schema: s}}"
        targets = "".join(f"  {n}: {{plugin: postgres, connection: {connection}}}\n" for n in ("a", "b"))
        well = '  dev: {plugin: duckdb, connection: {path: ":memory:"}}\n'
        daemon = start_daemon(
            f"reload: {{poll_interval: 200ms}}\nprobe: {{interval: 1s}}\ntargets:\n{targets}{well}"
        )

        def incident() -> Any:
            found = json.loads(daemon.get("/api/v1/incidents")[1])["incidents"]
            return found[0] if len(found) == 1 and found[0]["targets_total"] == 2 else None

        row = daemon.until(incident)
        assert row["cause"] == {"kind": "host", "name": f"127.0.0.1:{port}"}
        assert daemon.metric("floe_compute_incidents_open") == 1
        renamed = targets.replace("  b:", "  c:")
        daemon.config.write_text(daemon.config.read_text().replace(targets, renamed))

        def members() -> Any:
            full = json.loads(daemon.get(f"/api/v1/incidents/{row['id']}")[1])
            found = {member["target"]: member["end"] for member in full["members"]}
            return found if found.get("b") and "c" in found else None

        assert daemon.until(members) == {"a": None, "b": "renamed", "c": None}
    daemon.stop()


def test_fifty_targets_of_which_ten_hang_for_ever(start_daemon: Start, within: Any) -> None:
    well = "".join(f"  well{n}: {{plugin: lab, connection: {{behave: healthy}}}}\n" for n in range(40))
    hung = "".join(f"  hung{n}: {{plugin: lab, connection: {{behave: hang}}}}\n" for n in range(10))
    daemon = start_daemon(
        "probe: {interval: 1s, timeout: 900ms}\n"
        "workers: {limit: 32, per_plugin: 20, stuck_limit: 10}\nshutdown_grace: 3s\n"
        f"targets:\n{well}{hung}"
    )
    daemon.until(lambda: daemon.metric("floe_monitor_workers_stuck", plugin="lab") == 10)
    daemon.until(lambda: daemon.get("/healthz")[0] == 503)
    assert "10 stuck workers" in daemon.get("/healthz")[1]
    stamp = "floe_compute_target_last_validation_timestamp_seconds"
    first, began = daemon.metrics(), time.monotonic()
    second = daemon.until(lambda: _well_later(first, daemon.metrics(), stamp, seconds=2.5))
    elapsed = time.monotonic() - began

    def series(name: str, **labels: str) -> dict[str, tuple[float, float]]:
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return {
            key: (first.get(key, 0.0), value)
            for key, value in second.items()
            if key.startswith(name + "{") and all(each in key for each in wanted)
        }

    for key, (_, status) in series("floe_compute_target_status").items():
        assert status == (3 if "hung" in key else 1), key
    for key, (before, after) in series(stamp).items():
        assert "well" in key or after == before, key
    [(skipped_before, skipped_after)] = series("floe_monitor_probes_skipped_total", reason="stuck").values()
    assert skipped_after - skipped_before == pytest.approx(10 * elapsed, abs=30)  # a tick a second each
    assert {after for _, after in series("floe_monitor_probes_skipped_total", reason="no_slot").values()} == {
        0
    }
    [(_, timeouts)] = series("floe_compute_validation_errors_total", error_type="timeout").values()
    assert timeouts == 10
    answer = json.loads(daemon.get("/api/v1/targets/hung3")[1])
    assert answer["status"] == "unhealthy"
    assert answer["last"]["error_type"] == "timeout"
    with within(3, margin=1):
        assert daemon.stop() == 0


def _well_later(
    first: dict[str, float], now: dict[str, float], stamp: str, seconds: float
) -> dict[str, float] | None:
    """`now`, once every target that is well has been validated again and again for so long."""
    moved = [value - first[key] for key, value in now.items() if key.startswith(stamp) and "well" in key]
    return now if min(moved) >= seconds else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_when_nothing_runs(start_daemon: Start, number: int, within: Any) -> None:
    daemon = start_daemon("targets: {dev: {plugin: lab}}")
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    with within(0, margin=3):
        assert daemon.stop(number) == 0


def test_a_probe_under_way_may_finish_before_the_stop(start_daemon: Start) -> None:
    daemon = start_daemon(
        "log: {probes: true}\ntargets: {dev: {plugin: lab, connection: {behave: sleep, seconds: 1}}}"
    )
    daemon.until(lambda: daemon.metric("floe_monitor_workers_busy", plugin="lab") == 1)
    assert daemon.stop() == 0
    assert "late but well" in daemon.log.read_text()


def test_reload_by_file_signal_and_request(start_daemon: Start) -> None:
    daemon = start_daemon("probe: {interval: 1s}\ntargets: {one: {plugin: lab}}")
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="one") == 1)

    daemon.config.write_text("probe: {interval: 1s}\ntargets: {one: {plugin: lab}, two: {plugin: lab}}")
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="two") == 1)

    daemon.config.write_text("reload: {watch: false}\nprobe: {interval: 1s}\ntargets: {two: {plugin: lab}}")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="one") is None)

    daemon.config.write_text("reload: {watch: false}\nprobe: {interval: 1s}\ntargets: {three: {plugin: lab}}")
    status, answer = daemon.post("/-/reload")
    assert status == 200, answer
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="three") == 1)
    assert daemon.metric("floe_compute_target_up", target="two") is None


def test_an_invalid_configuration_changes_nothing_and_is_told(start_daemon: Start) -> None:
    daemon = start_daemon("probe: {interval: 1s}\ntargets: {one: {plugin: lab}}")
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="one") == 1)
    daemon.config.write_text("probe:\n  intervall: 1s\ntargets: {two: {plugin: lab}}")
    daemon.until(lambda: daemon.metric("floe_monitor_config_last_reload_successful") == 0)
    status = json.loads(daemon.get("/api/v1/status")[1])
    [problem] = status["configuration"]["problems"]
    assert "floe-monitor.yaml:2" in problem
    assert "interval" in problem
    assert daemon.metric("floe_compute_target_up", target="one") == 1
    daemon.until(lambda: "floe-monitor.yaml:2" in daemon.log.read_text())
    daemon.config.write_text("probe: {interval: 1s}\ntargets: {two: {plugin: lab}}")
    daemon.until(lambda: daemon.metric("floe_monitor_config_last_reload_successful") == 1)
    daemon.until(lambda: daemon.metric("floe_compute_target_up", target="two") == 1)


def test_validation_on_request(start_daemon: Start) -> None:
    daemon = start_daemon(
        "probe: {interval: 1h}\ntargets: {dev: {plugin: lab, connection: {behave: degraded}}}"
    )
    status, answer = daemon.post("/api/v1/targets/dev/validate")
    assert status == 200
    assert "degraded" in json.dumps(answer)
    assert daemon.post("/api/v1/targets/nobody/validate")[0] == 404


def test_an_unexpected_end_of_the_scheduler_is_seen(start_daemon: Start, tmp_path: Path) -> None:
    """A target that blocks the whole loop is not possible by configuration, so the process is stopped
    (SIGSTOP) as a stand-in for a frozen loop: the health route then must not answer 200."""
    daemon = start_daemon("targets: {dev: {plugin: lab}}")
    daemon.until(lambda: daemon.get("/healthz")[0] == 200)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    with pytest.raises(OSError):  # noqa: PT011 - a timeout, by whatever name
        daemon.get("/healthz", timeout=1)
    os.kill(daemon.process.pid, signal.SIGCONT)
    daemon.until(lambda: daemon.get("/healthz")[0] == 200)


def test_canaries_reach_no_output(start_daemon: Start, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-file-31.{}[]\n")
    daemon = start_daemon(
        f"""
probe: {{interval: 1s}}
log: {{level: debug, probes: true}}
profiles: [{{name: p, path: profiles.yml}}]
targets:
  raises:
    plugin: lab
    connection: {{behave: raise_secret}}
    credentials: {{password: {{env: CANARY_ENV}}, key: {{file: {secret}}}}}
  returns:
    plugin: lab
    connection: {{behave: return_secret, password: "{{{{ env_var('CANARY_INLINE') }}}}"}}
    credentials: {{password: {{env: CANARY_ENV}}, inline: {{env: CANARY_INLINE}}}}
  spills:
    plugin: lab
    connection: {{behave: spill}}
    credentials: {{password: {{env: CANARY_ENV}}, inline: {{env: CANARY_INLINE}}, key: {{file: {secret}}}}}
  spills_in_a_process:
    plugin: lab
    probe: {{isolation: process}}
    connection: {{behave: spill}}
    credentials: {{password: {{env: CANARY_ENV}}, inline: {{env: CANARY_INLINE}}, key: {{file: {secret}}}}}
  in_a_process:
    plugin: lab
    probe: {{isolation: process}}
    connection: {{behave: raise_secret}}
    credentials: {{password: {{env: CANARY_ENV}}, key: {{file: {secret}}}}}
""",
        **CANARIES,
    )
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    names = ("raises", "returns", "spills", "in_a_process", "spills_in_a_process")
    for name in names:
        first = daemon.until(lambda name=name: daemon.metric(LAST_VALIDATION, target=name))
        daemon.until(lambda name=name, first=first: daemon.metric(LAST_VALIDATION, target=name) != first)
    outputs = {
        path: daemon.get(path)[1]
        for path in ("/", "/metrics", "/readyz", "/healthz", "/api/v1/targets", "/api/v1/status")
    }
    for name in names:
        outputs[name] = daemon.get(f"/api/v1/targets/{name}")[1]
        outputs[f"page of {name}"] = daemon.get(f"/targets/{name}")[1]
        outputs[f"validate {name}"] = json.dumps(daemon.post(f"/api/v1/targets/{name}/validate")[1])
    outputs["command line"] = Path(f"/proc/{daemon.process.pid}/cmdline").read_text()
    outputs["title"] = Path(f"/proc/{daemon.process.pid}/comm").read_text()
    for child in [each.pid for each in psutil.Process(daemon.process.pid).children(recursive=True)]:
        outputs[f"environment of child {child}"] = Path(f"/proc/{child}/environ").read_text(errors="replace")
        outputs[f"command line of child {child}"] = Path(f"/proc/{child}/cmdline").read_text()
    outputs["profiles.yml"] = (tmp_path / "profiles.yml").read_text()
    assert daemon.stop() == 0
    outputs["log"] = daemon.log.read_text()
    for where, text in outputs.items():
        found = [match[0] for match in SHOWN.finditer(text.replace("CANARY_", ""))]
        # CANARY_UNUSED is no target's: whoever starts the monitor gives it to its children too.
        assert found == (["canary"] if "environment" in where else []), f"{found} in {where}"
    assert any("environment of child" in where for where in outputs)
    assert "CANARY_ENV" in outputs["profiles.yml"]
    assert "***" in outputs["raises"]


def test_a_busy_port_is_one_clear_line(start_daemon: Start) -> None:
    first = start_daemon("targets: {dev: {plugin: lab}}")
    port = re.search(r":(\d+)$", first.url)
    assert port is not None
    with pytest.raises(AssertionError, match="in use"):
        start_daemon("targets: {dev: {plugin: lab}}", FLOE_MONITOR_HTTP__PORT=port.group(1))


def test_names_that_browsers_may_use_are_configured(start_daemon: Start) -> None:
    daemon = start_daemon("http: {allowed_hosts: [monitor.example]}\ntargets: {dev: {plugin: lab}}")
    assert daemon.get("/healthz", Host="monitor.example")[0] == 200
    assert daemon.get("/healthz", Host="rebound.example")[0] == 403


def test_a_path_that_cannot_be_one_ends_nothing(start_daemon: Start) -> None:
    sound = "targets: {dev: {plugin: lab}}\nreload: {poll_interval: 1s}\n"
    daemon = start_daemon(sound)
    for line in ('include: ["a\\0b.yaml"]', 'profiles: [{name: x, path: "x\\0y/profiles.yml"}]'):
        daemon.config.write_text(f"{sound}{line}\n")
        daemon.until(lambda: daemon.metric("floe_monitor_config_last_reload_successful") == 0)
        time.sleep(1.5)  # the watcher looks at what the refused configuration includes
        daemon.config.write_text(sound)
        daemon.until(lambda: daemon.metric("floe_monitor_config_last_reload_successful") == 1)
    assert daemon.stop() == 0


def test_the_configuration_is_read_once_at_start(start_daemon: Start, tmp_path: Path) -> None:
    """Counted by the interpreter's own audit events, in the daemon's process."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"log = os.open({str(tmp_path / 'opened')!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "def count(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('floe-monitor.yaml'):\n"
        "        os.write(log, b'opened\\n')\n"
        "sys.addaudithook(count)\n"
    )
    text = "reload: {watch: false}\ntargets: {dev: {plugin: duckdb, connection: {path: ':memory:'}}}\n"
    daemon = start_daemon(text, PYTHONPATH=str(hook))
    assert (tmp_path / "opened").read_text().split() == ["opened"]
    assert daemon.stop() == 0


def test_an_empty_host_ends_the_start_and_brackets_do_not(start_daemon: Start) -> None:
    with pytest.raises(
        AssertionError, match=r"HTTP__HOST: http\.host: must not be empty; write 127\.0\.0\.1"
    ):
        start_daemon("targets: {one: {plugin: lab}}", FLOE_MONITOR_HTTP__HOST="")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    daemon = start_daemon("targets: {one: {plugin: lab}}", FLOE_MONITOR_HTTP__HOST="[::1]")
    assert daemon.url.startswith("http://[::1]:")
    assert daemon.get("/healthz")[0] == 200
    assert daemon.get("/metrics", Host="rebound.example")[0] == 403


def test_what_was_known_survives_a_process_that_is_killed(start_daemon: Start, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens
        port = held.getsockname()[1]
        configuration = (
            f"history: {{url: 'sqlite:///{tmp_path}/kept/history.db'}}\n"
            "probe: {interval: 1s}\n"
            f"targets: {{down: {{plugin: postgres, connection: "
            f"{{host: 127.0.0.1, port: {port}, user: u, dbname: d, schema: s}}}}}}\n"
        )

        def known(daemon: Any) -> Any:
            target = json.loads(daemon.get("/api/v1/targets/down")[1])
            found = json.loads(daemon.get("/api/v1/incidents")[1])["incidents"]
            return (target["since"], found[0]["id"]) if target["status"] == "unhealthy" and found else None

        first = start_daemon(configuration)
        before = first.until(lambda: known(first))

        def written() -> Any:
            with sqlite3.connect(tmp_path / "kept/history.db") as reader:
                names = reader.execute("SELECT count(*) FROM sqlite_master WHERE name = 'rollups'").fetchone()
                found = names == (1,) and [
                    reader.execute(f"SELECT count(*) FROM {table}").fetchone()
                    for table in ("states", "incidents")
                ]
            reader.close()
            return found == [(1,), (1,)]

        first.until(lambda: (tmp_path / "kept/history.db").exists() and written())
        first.until(lambda: first.metric("floe_monitor_history_up") == 1)
        first.stop(signal.SIGKILL)
        second = start_daemon(configuration)
        assert second.until(lambda: known(second)) == before
        assert second.stop() == 0
