"""The monitor's verdict, in a process of its own: a request as JSON in, the result and the profile out."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from conformance.forked import obey_permissions
from floe_monitor.compute import ComputeConfigurationError, Deadline, deadline
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from floe_monitor.registry.discovery import discover
from floe_monitor.registry.foreign_plugin import adapt_result, prepare


def main() -> None:
    request = json.load(sys.stdin)
    os.chdir(request["folder"])
    if request["ordinary_user"]:
        obey_permissions()
    json.dump(answer(request), sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    entry = discover().get(request["plugin"])
    if entry.plugin is None:
        raise SystemExit(entry.problem)
    fields = {"plugin": request["plugin"], **request["fields"]}
    names = request["credentials"]
    expressions = {key: f"{{{{ env_var('{name}') }}}}" for key, name in names.items()}
    values = {key: os.environ.get(name, "") for key, name in names.items()}
    try:
        profile = entry.plugin.generate_dbt_profile(
            build_config(entry.plugin, {**fields, "credentials": expressions})
        )
        config = build_config(entry.plugin, {**fields, "credentials": values})
    except (ConfigProblems, ComputeConfigurationError) as error:
        return {"status": "refused", "message": str(error), "error_type": "configuration", "profile": None}
    prepare(entry.plugin, config)
    started = time.monotonic()
    with deadline.running_until(Deadline.after(request["timeout"])):
        result = adapt_result(entry.plugin.validate_connection(config))
    return {
        "seconds": time.monotonic() - started,
        "status": result.status.value,
        "message": result.message,
        "error_type": result.error_type,
        "warnings": list(result.warnings),
        "checks": {check.name: check.status.value for check in result.checks},
        "profile": profile,
    }


if __name__ == "__main__":
    main()
