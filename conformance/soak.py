"""`python -m conformance.soak`: one daemon, every engine twice, well and hung, for ten minutes.

Prints what was measured and judges it: memory, threads and descriptors flat, the well never late nor anything
but HEALTHY, the hung UNHEALTHY by `timeout` and in time, an orderly stop. Exits 1 where not. For Linux.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import engines, soak_report, watching
from conformance.cases import Situation
from conformance.environments import ROOT
from conformance.soak_report import HUNG, STOP_SECONDS, WELL
from floe_monitor.compute.faultproxy import LOOPBACK, Fault, FaultProxy

if TYPE_CHECKING:
    from conformance.watching import Sample

SAMPLE_SECONDS = 5.0
WELL_TIMEOUT, HUNG_TIMEOUT = 5.0, 0.8
"""What is tried of the well is when they are probed, not how fast their servers are."""

_HANGS_AFTER = {"postgres": 40, "snowflake": 1400, "bigquery": 400, "spark": 5}
"""Bytes of the server's that pass: within the login, after it, within an answer, after it."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between probes of a target")
    parser.add_argument("--stand-ins", action="store_true", help="no real Spark, even where there is one")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fm-soak-")))
        targets, environment = _targets(stack, folder, real_spark=not arguments.stand_ins)
        _warm_up(folder, targets, environment)
        return _soak(folder, targets, environment, arguments.minutes * 60, arguments.interval)


# ---------------------------------------------------------------- the targets


def _targets(stack: ExitStack, folder: Path, *, real_spark: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Each engine's target where all is well, and the same one with a network that falls silent."""
    from conformance.bigquery_standin import StandIn  # noqa: PLC0415 - needs the libraries of development

    bigquery = stack.enter_context(StandIn())
    spark = "all well" if real_spark and _has_spark() else "stand-in: all well, NOSASL"
    well = {
        "duckdb": Situation({"connection": {"path": ":memory:"}}),
        "postgres": _case(stack, folder, "postgres", "all well"),
        "snowflake": _case(stack, folder, "snowflake", "all well"),
        "bigquery": Situation(
            {"connection": {
                "method": "oauth-secrets", "project": "analytics", "dataset": "marts", "location": "EU",
                "api_endpoint": bigquery.url,
            }},
            {"token": "SOAK_TOKEN"},
            {"SOAK_TOKEN": "good"},
        ),
        "spark": _case(stack, folder, "spark", spark),
    }  # fmt: skip
    print(f"spark: {'a real server' if spark == 'all well' else 'the stand-in'}", file=sys.stderr)
    targets: dict[str, Any] = {}
    environment: dict[str, str] = {"SOAK_TOKEN": "good"}
    for plugin, situation in well.items():
        environment |= situation.environment
        targets[f"{plugin}{WELL}"] = _target(plugin, situation, WELL_TIMEOUT)
        targets[f"{plugin}{HUNG}"] = _target(plugin, _hung(stack, plugin, situation), HUNG_TIMEOUT)
    return targets, environment


def _case(stack: ExitStack, folder: Path, engine: str, name: str) -> Situation:
    place = folder / engine
    place.mkdir()
    case = next(case for case in engines.load(engine).cases if case.name == name)
    return stack.enter_context(case.arrange(place))


def _has_spark() -> bool:
    return (ROOT / ".venvs" / "spark" / "made-of").is_file()


def _hung(stack: ExitStack, plugin: str, well: Situation) -> Situation:
    if plugin == "duckdb":
        proxy = stack.enter_context(FaultProxy(None, Fault.HANG))
        attach = {
            "path": "floe", "alias": "lake", "type": "iceberg", "required": True,
            "options": {"endpoint": f"http://{LOOPBACK}:{proxy.port}"},
        }  # fmt: skip
        return Situation({"connection": {"attach": [attach]}}, {"lake.token": "SOAK_TOKEN"})
    connection = dict(well.fields["connection"])
    url = connection.get("api_endpoint")
    port = int(url.rsplit(":", 1)[1]) if url else connection["port"]
    proxy = stack.enter_context(FaultProxy(port, Fault.HANG_AFTER, after=_HANGS_AFTER[plugin]))
    connection |= {"api_endpoint": f"http://{LOOPBACK}:{proxy.port}"} if url else {"port": proxy.port}
    return Situation({**well.fields, "connection": connection}, well.credentials)


def _target(plugin: str, situation: Situation, timeout: float) -> dict[str, Any]:
    credentials = {key: {"env": name} for key, name in situation.credentials.items()}
    return {"plugin": plugin, **situation.fields, "credentials": credentials, "probe": {"timeout": timeout}}


# ---------------------------------------------------------------- the run


def _warm_up(folder: Path, targets: dict[str, Any], environment: dict[str, str]) -> None:
    """A fresh Spark takes seconds for its first statements."""
    well = {
        name: {**target, "probe": {"timeout": 60}} for name, target in targets.items() if name.endswith(WELL)
    }
    config = folder / "warm-up.yaml"
    config.write_text(json.dumps({"targets": well}))
    for _ in range(3):
        subprocess.run(
            [sys.executable, "-m", "floe_monitor", "check", "--config", str(config)],
            stdout=sys.stderr, cwd=folder, env={**_inherited(), **environment}, check=True, timeout=120,
        )  # fmt: skip


def _soak(
    folder: Path, targets: dict[str, Any], environment: dict[str, str], seconds: float, interval: float
) -> int:
    config, log = folder / "floe-monitor.yaml", folder / "log"
    settings = {
        "probe": {"interval": interval},
        "http": {"port": 0},
        "log": {"format": "json", "probes": True},
        "profiles": [{"name": "soak", "path": str(folder / "profiles.yml")}],
        "targets": targets,
    }
    config.write_text(json.dumps(settings))
    with log.open("wb") as errors:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "floe_monitor", "run", "--config", str(config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, cwd=folder,
            env={**_inherited(), **environment},
        )  # fmt: skip
    try:
        started = time.monotonic()
        url = _address(daemon, log)
        samples: list[Sample] = []
        while (elapsed := time.monotonic() - started) < seconds and daemon.poll() is None:
            time.sleep(min(SAMPLE_SECONDS, seconds - elapsed))
            samples.append(watching.sample(daemon.pid, url, started))
            if len(samples) % 12 == 0:
                print(soak_report.line(samples[-1]), file=sys.stderr)
        stopping = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        code: int | None = daemon.wait(STOP_SECONDS + 5)
        stop = time.monotonic() - stopping
    except subprocess.TimeoutExpired:
        code, stop = None, float("inf")
    finally:
        daemon.kill()
        daemon.wait(5)
    run = soak_report.Run(samples, log.read_text(), interval, HUNG_TIMEOUT, code, stop)
    print(run.text())
    return int(not run.holds)


def _inherited() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("FLOE_MONITOR_", "OTEL_"))}


def _address(daemon: subprocess.Popen[bytes], log: Path) -> str:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and daemon.poll() is None:
        for word in log.read_text().split():
            if word.startswith("http://"):
                return "/".join(word.split("/")[:3])
        time.sleep(0.05)
    raise RuntimeError(f"the daemon did not start:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
