from __future__ import annotations

from pathlib import Path

import duckdb
from floe_monitor_duckdb.extensions import _directory


def test_a_home_that_is_not_known_is_no_fault() -> None:
    with duckdb.connect() as connection:
        connection.execute("SET extension_directory = '~nobody-here/extensions'")
        assert _directory(connection) == Path("~nobody-here/extensions")
