"""A catalog's name with a silent address before the one that answers, as DuckDB's HTTP client takes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from floe_monitor.testing import silent_names

ROOT = Path(__file__).resolve().parents[3]
_PREPARING = """
import fcntl, json, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
"""
_PROBING = """
from conformance.polaris_standin import PolarisStandIn
from floe_monitor.compute import Deadline, deadline
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from floe_monitor_duckdb import DuckDBComputePlugin

options, extensions = json.loads(sys.argv[1]), sys.argv[2]
plugin = DuckDBComputePlugin()
with (
    PolarisStandIn() as polaris,
    FaultProxy(polaris.port, host="127.0.0.3") as answering,
    FaultProxy(None, Fault.BLACKHOLE, host="127.0.0.2", port=answering.port),
):
    addresses = [entry[4][0] for entry in socket.getaddrinfo("catalog.test", 80, type=socket.SOCK_STREAM)]
    entry = {"path": "floe", "alias": "lake", "type": "iceberg", "required": True, "options": {
        "endpoint": f"http://catalog.test:{answering.port}/api/catalog",
        "client_id": polaris.client[0], "client_secret": polaris.client[1],
    }}
    connection = {"attach": [entry], "config_options": {"extension_directory": extensions, **options}}
    config = build_config(plugin, {"plugin": "duckdb", "connection": connection})
    with deadline.running_until(Deadline.after(20)):
        result = plugin.validate_connection(config)
print(json.dumps({
    "addresses": addresses, "status": result.status.value, "message": result.message,
    "error_type": result.error_type, "warnings": result.warnings,
}))
"""

_ASKING = """
import threading
from floe_monitor.compute import Deadline
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from floe_monitor_duckdb.iceberg.catalog import HttpOptions
from floe_monitor_duckdb.iceberg.transport import Transport
from conformance.polaris_standin import PolarisStandIn

with (
    PolarisStandIn() as polaris,
    FaultProxy(polaris.port, Fault.BLACKHOLE, host="127.0.0.3") as slow,
    FaultProxy(None, Fault.BLACKHOLE, host="127.0.0.2", port=slow.port),
):
    addresses = [entry[4][0] for entry in socket.getaddrinfo("catalog.test", 80, type=socket.SOCK_STREAM)]
    threading.Timer(1.0, slow.set, [Fault.PASS]).start()
    transport = Transport(HttpOptions(), BlockingCalls(), Deadline.after(12))
    answer = transport.request("GET", f"http://catalog.test:{slow.port}/api/catalog/v1/config", {})
print(json.dumps({"addresses": addresses, "status": answer.status, "warnings": transport.warnings}))
"""


def run(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What it prints in a network namespace of its own, where `catalog.test` has two addresses."""
    if not silent_names.available():
        pytest.skip("needs `unshare` with user, network and mount namespaces")
    (folder / "hosts").write_text("127.0.0.2 catalog.test\n127.0.0.3 catalog.test\n")
    (folder / "nsswitch.conf").write_text("hosts: files\n")
    (folder / "script.py").write_text(_PREPARING + script)
    binds = " && ".join(f"mount --bind {folder / name} /etc/{name}" for name in ("hosts", "nsswitch.conf"))
    python = [sys.executable, str(folder / "script.py"), *arguments]
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--net", "--mount"),
            *("sh", "-c", f'{binds} && exec "$@"', "sh", *python),
        ],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["addresses"] == ["127.0.0.2", "127.0.0.3"]
    return found


@pytest.mark.timeout(180)
@pytest.mark.process
def test_curl_leaves_it_for_the_next_and_so_is_it_only_warned_of(
    tmp_path: Path, extension_directory: str
) -> None:
    found = run(_PROBING, tmp_path, "{}", extension_directory)
    assert found["status"] == "healthy", found
    [warning] = [text for text in found["warnings"] if "127.0.0.2" in text]
    assert warning.startswith("lake: 127.0.0.2 port ")
    assert warning.endswith(": dbt waits there for 0.2 s at every connection")


@pytest.mark.timeout(180)
@pytest.mark.process
@pytest.mark.gate  # httplib tries for ten seconds, twice
def test_httplib_does_not_and_so_it_is_unhealthy(tmp_path: Path, extension_directory: str) -> None:
    options = {"httpfs_client_implementation": "httplib"}
    found = run(_PROBING, tmp_path, json.dumps(options), extension_directory)
    assert (found["status"], found["error_type"]) == ("unhealthy", "timeout"), found
    assert "dbt waits there at every connection, although 127.0.0.3" in found["message"]


@pytest.mark.timeout(180)
@pytest.mark.process
def test_one_that_answers_late_is_waited_for(tmp_path: Path) -> None:
    """No address answers within the 0.2 s after which curl tries the next: it goes on waiting for both."""
    found = run(_ASKING, tmp_path)
    assert found["status"] == 401, found
    [warning] = found["warnings"]
    assert "catalog.test has an address that does not answer" in warning or "127.0.0.2" in warning
