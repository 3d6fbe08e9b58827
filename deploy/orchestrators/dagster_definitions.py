"""dbt behind floe-monitor, for Dagster: `dagster dev -f dagster_definitions.py`.

The sensor asks for a run a day once the daemon says that the target can be used, and shows the reasons until
then. The asset runs dbt by `floe-monitor exec`, which looks once more and, where dbt fails, says whether the
engine was at fault.
"""

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

MONITOR = os.environ.get("FLOE_GATE_URL", "http://127.0.0.1:9464")
TOKEN_FILE = os.environ.get("FLOE_GATE_TOKEN_FILE")
"""With a token of the scope `read`, where the daemon is not on this machine."""
TARGET = os.environ.get("FLOE_GATE_TARGET", "warehouse")
DBT = ["dbt", "build"]
NOT_USABLE = 75


@dg.asset
def dbt_project() -> None:
    command = ["floe-monitor", "exec", "--target", TARGET, "--log-format", "json", "--", *DBT]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return
    outcome = {
        "outcome": dg.MetadataValue.text(done.stderr.strip().splitlines()[-1])
    }  # its JSON, in one line
    if done.returncode == NOT_USABLE:
        raise dg.RetryRequested(max_retries=3, seconds_to_wait=120)
    # Once more would not help dbt.
    raise dg.Failure(f"dbt ended with {done.returncode}", metadata=outcome, allow_retries=False)


dbt_job = dg.define_asset_job("dbt_job", [dbt_project])


@dg.sensor(job=dbt_job, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def gate() -> dg.RunRequest | dg.SkipReason:
    query = urllib.parse.urlencode({"targets": TARGET, "max_age": "5m"})
    request = urllib.request.Request(f"{MONITOR}/api/v1/gate?{query}")
    if TOKEN_FILE:
        request.add_header("Authorization", f"Bearer {Path(TOKEN_FILE).read_text().strip()}")
    try:
        with urllib.request.urlopen(request, timeout=30):
            return dg.RunRequest(run_key=f"{datetime.now(UTC):%Y-%m-%d}")  # one run a day for each key
    except urllib.error.HTTPError as error:
        said = json.load(error)
        if error.code != 503:  # an unknown target, or no right to ask: the tick fails and says so
            raise
        return dg.SkipReason("; ".join(said.get("reasons", [said.get("detail")])))


defs = dg.Definitions(assets=[dbt_project], jobs=[dbt_job], sensors=[gate])
