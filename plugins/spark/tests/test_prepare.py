"""What a process does once is done before the first deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.process

SCRIPT = textwrap.dedent(
    """
    import json, sys
    from floe_monitor.registry.config_validation import build_config
    from floe_monitor_spark import SparkComputePlugin
    plugin = SparkComputePlugin()
    config = build_config(plugin, json.load(sys.stdin))
    early = {"pyhive", "thrift", "thrift_sasl", "puresasl", "TCLIService"} & set(sys.modules)
    plugin.prepare(config)
    before = set(sys.modules)
    result = plugin.validate_connection(config)
    print(sorted(early), sorted(set(sys.modules) - before), result.status.value, result.message)
    """
)


@pytest.mark.parametrize("way", ["LDAP", "TLS", "HTTPS", "refused"])
def test_a_first_validation_imports_nothing_more(
    way: str,
    launch: Callable[..., Any],
    keys: Callable[..., dict[str, Any]],
    http_keys: Callable[..., dict[str, Any]],
    databricks: Callable[..., Any],
    tls: Any,
    root: Path,
) -> None:
    # By name, so that the look-up is in it too.
    fields = {
        "LDAP": lambda: keys(
            host="localhost", port=launch(auth="LDAP", password="p").port, auth="LDAP", password="p"
        ),
        "TLS": lambda: keys(host="localhost", port=launch(tls=tls).port, use_ssl=True),
        "HTTPS": lambda: http_keys(databricks().port),
        "refused": lambda: keys(host="localhost", port=1),
    }[way]()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps({**fields, "connection_reuse": True}),
        capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "SSL_CERT_FILE": str(root)},
    )  # fmt: skip
    status = "unhealthy" if way == "refused" else "healthy"
    assert done.stdout.startswith(f"[] [] {status} "), done
