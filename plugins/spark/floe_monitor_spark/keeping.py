"""What is kept between validations: an open session, and for a cluster the question whether it still runs."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor_spark.config import SECRET_KEYS
from floe_monitor_spark.errors import SparkError
from floe_monitor_spark.session import CLOSING_SECONDS

if TYPE_CHECKING:
    from floe_monitor_spark.cluster import Cluster, State
    from floe_monitor_spark.config import SparkConfig
    from floe_monitor_spark.session import Session


@dataclass(slots=True)
class Channel:
    """A session, and the cluster it is on where that has a state."""

    session: Session
    cluster: Cluster | None = None
    state: State | None = None
    """The cluster's when it was last asked."""

    @property
    def usable(self) -> bool:
        """Of no use again where any word to the cluster might start it."""
        return self.session.usable and (self.state is None or self.state.runs)

    def prove(self, expires_at: float) -> bool:
        """Whether the session still serves, and is as a fresh one; False if the cluster does not run.

        Raises `SparkError`. A cluster is asked for its state before the session is touched.
        """
        self.session.renew(expires_at)
        if not self._runs():
            return False
        self.session.use_default()
        return True

    def close(self) -> None:
        """Within `CLOSING_SECONDS`. Without a word to a cluster that does not run: it would start."""
        self.session.renew(time.monotonic() + CLOSING_SECONDS)
        try:
            runs = self._runs()
        except SparkError:
            runs = False
        if runs:
            self.session.end()
        else:
            self.session.drop()

    def _runs(self) -> bool:
        if self.cluster is None:
            return True
        self.state = self.cluster.state()
        return self.state.runs


def key_of(config: SparkConfig, *others: str | None) -> bytes:
    """Differs wherever anything does that proves a session: parameters, secrets too, and `others`."""
    secrets = [config.secret(key) for key in SECRET_KEYS]
    return hashlib.sha256(json.dumps([config.model_dump_json(), *secrets, *others]).encode()).digest()
