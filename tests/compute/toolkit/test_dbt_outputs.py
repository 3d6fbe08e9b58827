from __future__ import annotations

import pytest

from floe_monitor.compute.toolkit.dbt_outputs import connection_without, require_known


def test_a_secret_in_the_connection_is_refused_by_name_alone() -> None:
    with pytest.raises(ValueError, match=r"^token belongs under `credentials`, by reference$"):
        connection_without(["password", "token"], {"connection": {"host": "h", "token": "s3cret"}})


@pytest.mark.parametrize("data", [None, "text", {}, {"connection": None}, {"connection": ["password"]}])
def test_what_has_no_connection_is_left_to_the_model(data: object) -> None:
    assert connection_without(["password"], data) == {}


def test_what_else_is_in_the_connection_is_given_back() -> None:
    connection = {"host": "h", "passwords": 1}
    assert connection_without(["password"], {"connection": connection}) == connection


def test_a_credential_without_a_use_is_named() -> None:
    require_known({"password": "s3cret"}, ("password", "token"))
    with pytest.raises(ValueError, match=r"^credentials: pasword has no use; known: password, token$"):
        require_known({"token": "s3cret", "pasword": "s3cret"}, ("password", "token"))
