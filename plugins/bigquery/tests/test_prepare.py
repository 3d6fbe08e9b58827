"""After `prepare`, a validation imports nothing: a busy machine's imports took longer than a deadline."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bigquery_standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

ACCOUNT = "dbt@analytics.iam.gserviceaccount.com"
GOOGLES = "https://oauth2.googleapis.com/token"
SUBJECT = "urn:ietf:params:oauth:token-type:jwt"
ISSUED = "urn:ietf:params:oauth:token-type:access_token"
# Each case in a process of its own, forked before anything of the driver is there.
SCRIPT = """
import json, os, sys
from floe_monitor.compute import Deadline
from floe_monitor.registry.config_validation import build_config
from floe_monitor.compute.deadline import running_until
from floe_monitor_bigquery import BigQueryComputePlugin

for name, (fields, environment) in json.load(sys.stdin).items():
    if not (child := os.fork()):
        os.environ.update(environment)
        plugin = BigQueryComputePlugin()
        config = build_config(plugin, fields)
        driver_before = any(module.partition(".")[0] in ("google", "requests") for module in sys.modules)
        plugin.prepare(config)
        before = set(sys.modules)
        with running_until(Deadline.after(20)):
            result = plugin.validate_connection(config)
        told = result.message if result.error_type else ""
        print(json.dumps([name, told, driver_before, sorted(sys.modules.keys() - before)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture
def google(keyfile: dict[str, Any], authority: trustme.CA) -> Iterator[StandIn]:
    """Google's own addresses, through a proxy that answers for them."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(keyfile["private_key"].encode(), None)
    with StandIn(authority=authority) as google:
        google.state.accounts[ACCOUNT] = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        google.state.metadata = True
        exchanged = {"access_token": "good", "expires_in": 3599, "token_type": "Bearer"}
        google.state.errors["/sts"] = (200, {**exchanged, "issued_token_type": ISSUED})
        yield google


@pytest.fixture
def cases(
    keys: Callable[..., dict[str, Any]], keyfile: dict[str, Any], google: StandIn, root: Path, tmp_path: Path
) -> dict[str, Any]:
    """A target and its environment, by name."""
    proxy = f"http://localhost:{google.port}"
    common = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "REQUESTS_CA_BUNDLE": str(root)}

    def case(credentials: dict[str, str], environment: dict[str, str] | None = None, **changes: Any) -> Any:
        return keys(credentials, api_endpoint=None, **changes), {**common, **(environment or {})}

    def default(name: str, content: dict[str, Any]) -> Any:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        return case({}, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}, method="oauth")

    secrets = {"refresh_token": "refresh", "client_secret": "client-secret"}
    whole = {**keyfile, "token_uri": GOOGLES}
    (tmp_path / "key.json").write_text(json.dumps(whole))
    (tmp_path / "subject").write_text("token of another provider")
    user = {"type": "authorized_user", "client_id": "client", **secrets}
    acting = (
        f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    )
    inline = {key: value for key, value in whole.items() if key != "private_key"}
    file: dict[str, Any] = {"method": "service-account", "keyfile": str(tmp_path / "key.json")}
    return {
        "a fixed token": case({"token": "good"}),
        "a refresh token": case(secrets, client_id="client", token_uri=GOOGLES),
        "a key": case(
            {"private_key": whole["private_key"]}, method="service-account-json", keyfile_json=inline
        ),
        "a key file": case({}, **file),
        "impersonation": case({}, **file, impersonate_service_account=ACCOUNT),
        "default: a key file": default("named", whole),
        "default: a user": default("user", user),
        "default: impersonation": default("acting", {
            "type": "impersonated_service_account", "service_account_impersonation_url": acting,
            "source_credentials": user, "delegates": [],
        }),
        "default: a workload": default("workload", {
            "type": "external_account", "audience": "//iam.googleapis.com/pool",
            "subject_token_type": SUBJECT, "token_url": "https://sts.googleapis.com/sts",
            "credential_source": {"file": str(tmp_path / "subject")},
        }),
        "default: the metadata server": case({}, method="oauth"),
    }  # fmt: skip


@pytest.mark.process
def test_the_first_validation_imports_nothing(cases: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [[name, "", False, []] for name in cases], done.stderr


def test_no_key_is_read(plugin: Any, keys: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    from floe_monitor.registry.config_validation import build_config

    given = {"type": "service_account", "client_email": "a@b", "token_uri": GOOGLES}
    plugin.prepare(build_config(plugin, keys({}, method="service-account", keyfile=str(tmp_path / "none"))))
    plugin.prepare(
        build_config(plugin, keys({"private_key": "none"}, method="service-account-json", keyfile_json=given))
    )
