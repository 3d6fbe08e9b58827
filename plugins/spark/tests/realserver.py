"""A real Spark Thrift server out of the package index, in an environment of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import environments
from conformance.loopback_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).parents[3]
ENVIRONMENT = ROOT / ".venvs" / "spark"
STARTED = "HiveThriftServer2 started"


def unavailable(*, build: bool | None = None) -> str | None:
    """Why there can be no server here; None where there can. `build` allows the download, else the
    environment does: FLOE_MONITOR_CI=1 or FLOE_TEST_SPARK=1."""
    if shutil.which("java") is None:
        return "Spark needs Java: apt-get install default-jre-headless"
    if build is None:
        build = "1" in {os.environ.get("FLOE_MONITOR_CI"), os.environ.get("FLOE_TEST_SPARK")}
    if build:
        try:
            environments.built("spark.txt")
        except subprocess.CalledProcessError as error:
            return f"pip cannot install requirements/spark.txt: exit status {error.returncode}"
    elif not (ENVIRONMENT / "pins.sha256").exists():
        return "a real Spark is a download of 430 MB: set FLOE_TEST_SPARK=1 to have it"
    return None


@contextmanager
def running(directory: Path, options: Mapping[str, str] | None = None) -> Iterator[int]:
    """Its port. One core, 512 MB of heap, bound to loopback alone, a metastore in memory.

    `options` are more of `hive.server2`.
    """
    home = next((ENVIRONMENT / "lib").glob("python*")) / "site-packages" / "pyspark"
    port = free_port()
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
    }
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--driver-memory", "512m"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    command += ["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"]
    served = {"thrift.port": str(port), "thrift.bind.host": LOOPBACK, **(options or {})}
    for key, value in served.items():
        command += ["--hiveconf", f"hive.server2.{key}={value}"]
    log = directory / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": LOOPBACK},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 120
        while STARTED not in log.read_text(errors="replace"):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Spark did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)
