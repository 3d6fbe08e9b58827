"""Which keys of a login are read by which method, and which methods are refused."""

from __future__ import annotations

import pytest

from floe_monitor.compute import ComputeConfig, ComputeConfigurationError
from floe_monitor.compute.toolkit.login_methods import LoginMethods

METHODS = LoginMethods({"plain": ("user", "password"), "token": ("jwt",)}, {"browser": "nobody is there"})


class Config(ComputeConfig):
    user: str | None = None


def test_refused_methods_are_named_with_their_reason() -> None:
    with pytest.raises(ValueError, match=r"^a probe cannot use it: nobody is there$"):
        METHODS.require_usable("browser")
    with pytest.raises(
        ComputeConfigurationError, match=r"^method browser: a probe cannot use it: nobody is there$"
    ):
        METHODS.require_importable("browser")


@pytest.mark.parametrize("method", ["plain", "unknown", None, ["browser"]])
def test_any_other_is_let_through(method: object) -> None:
    METHODS.require_usable(method)
    METHODS.require_importable(method)


def test_keys_of_others() -> None:
    assert METHODS.keys_of_others("plain") == {"jwt"}
    assert METHODS.keys_of_others("token") == {"user", "password"}
    assert METHODS.keys_of_others("unknown") == frozenset()
    assert METHODS.keys_of_others(["plain"]) == frozenset()


def test_keys_given_are_credentials_and_fields_with_a_value() -> None:
    config = Config(plugin="any", timeout_seconds=1, user="ada", credentials={"jwt": "s"})
    assert METHODS.keys_given(config) == {"user", "jwt"}
    assert METHODS.keys_given(Config(plugin="any", timeout_seconds=1, user="")) == set()
