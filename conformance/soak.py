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

from conformance import healthy_targets, process_samples, soak_report
from conformance.soak_report import HUNG, STOP_SECONDS, WELL
from floe_monitor.testing.fault_proxy import LOOPBACK, Fault, FaultProxy

if TYPE_CHECKING:
    from conformance.cases import Situation
    from conformance.process_samples import Sample

SAMPLE_SECONDS = 5.0
WELL_TIMEOUT, HUNG_TIMEOUT = 5.0, 0.8
"""What is tried of the well is when they are probed, not how fast their servers are."""

_HANGS_AFTER = {
    "postgres": 40,
    "snowflake": 1400,
    "bigquery": 400,
    "databricks": 2500,
    "spark": 5,
    "trino": 900,
    "clickhouse": 500,
    "redshift": 60,
}
"""Bytes of the server's that pass: within the login, after it, within an answer, after it, within others."""


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
    """Each engine's target in good health, and the same one with a network that stops answering."""
    targets: dict[str, Any] = {}
    environment = {healthy_targets.TOKEN: "good"}
    for plugin, situation in healthy_targets.healthy_situations(stack, folder, real_spark=real_spark).items():
        environment |= situation.environment
        targets[f"{plugin}{WELL}"] = healthy_targets.target(plugin, situation, WELL_TIMEOUT)
        targets[f"{plugin}{HUNG}"] = healthy_targets.target(
            plugin, _hung(stack, plugin, situation), HUNG_TIMEOUT
        )
    return targets, environment


def _hung(stack: ExitStack, plugin: str, well: Situation) -> Situation:
    if plugin == "duckdb":
        proxy = stack.enter_context(FaultProxy(None, Fault.HANG))
        return healthy_targets.attached(
            f"http://{LOOPBACK}:{proxy.port}", {"lake.token": healthy_targets.TOKEN}
        )
    fault = FaultProxy(healthy_targets.server_port(well), Fault.HANG_AFTER, after=_HANGS_AFTER[plugin])
    return healthy_targets.behind(well, stack.enter_context(fault).port)


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
        url = _address(daemon, log)
        _await_the_first_results(daemon, log, len(targets))
        started = time.monotonic()
        samples: list[Sample] = []
        while (elapsed := time.monotonic() - started) < seconds and daemon.poll() is None:
            time.sleep(min(SAMPLE_SECONDS, seconds - elapsed))
            samples.append(process_samples.sample(daemon.pid, url, started))
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
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and daemon.poll() is None:
        for word in log.read_text().split():
            if word.startswith("http://"):
                return "/".join(word.split("/")[:3])
        time.sleep(0.05)
    raise RuntimeError(f"the daemon did not start:\n{log.read_text()}")


def _await_the_first_results(daemon: subprocess.Popen[bytes], log: Path, count: int) -> None:
    """Of every target: the run begins when nobody is still importing a driver."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and daemon.poll() is None:
        told = [json.loads(text) for text in log.read_text().splitlines() if '"probe finished"' in text]
        if len({each["target"] for each in told}) >= count:
            return
        time.sleep(0.1)
    raise RuntimeError(f"not every target was probed:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
