"""dbt behind floe-monitor, for Airflow 3: put this file into the DAGs folder.

`gate` waits until the daemon says that the target can be used, without keeping a worker's slot; `build` runs
dbt by `floe-monitor exec`, which looks once more and, where dbt fails, says whether the engine was at fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

MONITOR = os.environ.get("FLOE_GATE_URL", "http://127.0.0.1:9464")
TOKEN_FILE = os.environ.get("FLOE_GATE_TOKEN_FILE")
"""With a token of the scope `read`, where the daemon is not on this machine."""
TARGET = os.environ.get("FLOE_GATE_TARGET", "warehouse")
DBT = ["dbt", "build"]
POLL = timedelta(seconds=float(os.environ.get("FLOE_GATE_POLL_SECONDS", "15")))
NOT_USABLE = 75


@dag(schedule="@daily", catchup=False, tags=["dbt"])
def dbt_behind_gate() -> None:
    @task.sensor(poke_interval=POLL.total_seconds(), timeout=1800, mode="reschedule")
    def gate() -> bool:
        query = urllib.parse.urlencode({"targets": TARGET, "max_age": "5m"})
        request = urllib.request.Request(f"{MONITOR}/api/v1/gate?{query}")
        if TOKEN_FILE:
            request.add_header("Authorization", f"Bearer {Path(TOKEN_FILE).read_text().strip()}")
        try:
            with urllib.request.urlopen(request, timeout=30):
                return True
        except urllib.error.HTTPError as error:
            said = json.load(error)
            if error.code != 503:  # an unknown target, or no right to ask: waiting helps nothing
                raise AirflowFailException(said.get("detail", str(error))) from None
            print("closed:", *said.get("reasons", [said.get("detail")]), sep="\n  ")
            return False
        except OSError as error:  # the daemon is being replaced: that is no reason to give a day's run up
            print(f"no answer from {MONITOR}: {error}")
            return False

    @task(retries=3, retry_delay=timedelta(minutes=2))
    def build() -> None:
        command = ["floe-monitor", "exec", "--target", TARGET, "--log-format", "json", "--", *DBT]
        status = subprocess.run(command, check=False).returncode
        if status == NOT_USABLE:
            raise AirflowException(f"{TARGET} cannot be used: dbt was not run")  # tried again
        if status != 0:
            raise AirflowFailException(f"dbt ended with {status}")  # once more would not help it

    gate() >> build()


dbt_behind_gate()
