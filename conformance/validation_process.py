"""The monitor's verdict, in a process of its own: a request as JSON in, the result and the profile out.

Where the request says so, the target is validated once before; then a line is written, and one awaited.
"""

# ruff: noqa: T201 - it answers on standard output

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from conformance.dbt_process import obey_permissions
from floe_monitor.compute import ComputeConfigurationError, ConnectionStatus, Deadline, deadline
from floe_monitor.credentials.references import Reference
from floe_monitor.credentials.resolver import CredentialError, Resolver
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from floe_monitor.registry.discovery import discover
from floe_monitor.registry.foreign_plugin import adapt_result, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute import ComputeConfig, ComputePlugin, ConnectionResult


def main() -> None:
    request = json.loads(sys.stdin.readline())
    os.chdir(request["folder"])
    if request["ordinary_user"]:
        obey_permissions()
    json.dump(answer(request), sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    entry = discover().get(request["plugin"])
    if entry.plugin is None:
        raise SystemExit(entry.problem)
    fields = {"plugin": request["plugin"], **request["fields"]}
    files = request["credential_files"]
    references = {key: Reference(name, files.get(key)) for key, name in request["credentials"].items()}
    resolver = Resolver("conformance", fields, references)
    profile = None
    try:
        profile = entry.plugin.generate_dbt_profile(build_config(entry.plugin, resolver.profile_fields()))
        config = resolver.resolve(entry.plugin).config
    except CredentialError as error:
        return _refused("unhealthy", error, profile)
    except (ConfigProblems, ComputeConfigurationError) as error:
        return _refused("refused", error, None)
    prepare(entry.plugin, config)
    if request["former_names"] or request["watched"]:
        with _answering(request["former_names"]):
            before = _validated(entry.plugin, config, request["timeout"])
        if before.status is not ConnectionStatus.HEALTHY:
            raise SystemExit(f"not well to begin with: {before.message}")
    if request["watched"]:
        print(flush=True)
        sys.stdin.readline()
    started = time.monotonic()
    result = _validated(entry.plugin, config, request["timeout"])
    return {
        "seconds": time.monotonic() - started,
        "status": result.status.value,
        "message": result.message,
        "error_type": result.error_type,
        "warnings": list(result.warnings),
        "checks": {check.name: check.status.value for check in result.checks},
        "profile": profile,
    }


def _refused(status: str, error: Exception, profile: dict[str, Any] | None) -> dict[str, Any]:
    """What cannot be probed: as the daemon has it, of the configuration."""
    return {"status": status, "message": str(error), "error_type": "configuration", "profile": profile}


def _validated(plugin: ComputePlugin[Any], config: ComputeConfig, timeout: float) -> ConnectionResult:
    with deadline.running_until(Deadline.after(timeout)):
        return adapt_result(plugin.validate_connection(config))


@contextmanager
def _answering(names: Mapping[str, str]) -> Iterator[None]:
    """`socket.getaddrinfo` answers for a name service that still has these names, and nothing else does."""
    system = socket.getaddrinfo

    def former(host: Any, *rest: Any, **options: Any) -> Any:
        return system(names.get(host, host), *rest, **options)

    socket.getaddrinfo = former
    try:
        yield
    finally:
        socket.getaddrinfo = system


if __name__ == "__main__":
    main()
