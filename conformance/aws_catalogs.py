"""A second lakehouse on loopback, by others than SeaweedFS: MiniStack, an emulator of AWS.

It has the Iceberg REST catalogs of Glue and of S3 Tables, S3 and IAM, and minds signatures, keys, rights, and
the region of a bucket. Its catalogs serve every region alike, and list nothing for a table bucket that is not
there, where AWS refuses both: for what a region's own endpoint says see `sigv4_standin`.
"""

from __future__ import annotations

import json
import os
import random
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from conformance import environments
from conformance.lakehouse import NAMESPACE, TABLE, WAREHOUSE, is_free
from conformance.loopback_server import LOOPBACK
from conformance.server_process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = "ministack.txt"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ARN = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/{WAREHOUSE}"
_ALLOWED = ["glue:*", "s3tables:*", "s3:*"]


class MiniStack(ServerProcess):
    """The server, with a client that has every right in `keys` and one without any in `powerless`.

    A pair is key ID and secret; `session` has a token as well.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._program = environments.built(REQUIREMENTS) / "bin" / "ministack"
        self.port = next(port for port in iter(_a_port, 0) if is_free(port))
        self.keys = self.powerless = ("", "")
        self.session = ("", "", "")

    @property
    def uri(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/iceberg"

    @property
    def store(self) -> str:
        """By the name of its region, which alone has it mind the region of a signature as AWS does."""
        return f"s3.{REGION}.localhost:{self.port}"

    @property
    def command(self) -> list[str]:
        return [str(self._program)]

    @property
    def variables(self) -> dict[str, str]:
        mine = {
            "AUTH": "true",
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self.port),
            "SERVICES": "glue,iam,s3,s3tables,sts",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "TMPDIR": str(self._folder),
        }
        return {name: item for name, item in os.environ.items() if "AWS" not in name} | mine

    def start(self) -> None:
        super().start()
        self._furnish()

    def is_ready(self) -> bool:
        try:
            self._ask("sts", {"Action": "GetCallerIdentity", "Version": "2011-06-15"})
        except (OSError, ValueError):
            return False
        return True

    def _furnish(self) -> None:
        """Two users, a session of the account's, and a table bucket."""
        self.keys, self.powerless = self._user("dbt"), self._user("nobody")
        policy = {"Statement": [{"Effect": "Allow", "Action": _ALLOWED, "Resource": "*"}]}
        self._iam(
            Action="PutUserPolicy",
            UserName="dbt",
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", **policy}),
        )
        told = self._ask("sts", {"Action": "GetSessionToken", "Version": "2011-06-15"})
        self.session = (*_pair(told), _between(told, "SessionToken"))
        self._ask("s3tables", json.dumps({"name": WAREHOUSE}).encode(), "/buckets", "PUT")

    def _user(self, name: str) -> tuple[str, str]:
        self._iam(Action="CreateUser", UserName=name)
        return _pair(self._iam(Action="CreateAccessKey", UserName=name))

    def _iam(self, **form: str) -> str:
        return self._ask("iam", {**form, "Version": "2010-05-08"})

    def authorization(self, service: str) -> str:
        """The account itself, whose signature is the one that it does not mind."""
        scope = f"Credential=test/20260101/{REGION}/{service}/aws4_request"
        return f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"

    def _ask(self, service: str, body: dict[str, str] | bytes, path: str = "/", method: str = "POST") -> str:
        kind = "application/json" if isinstance(body, bytes) else "application/x-www-form-urlencoded"
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}{path}",
            data=body if isinstance(body, bytes) else urlencode(body).encode(),
            method=method,
            headers={"Authorization": self.authorization(service), "Content-Type": kind},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            text: str = answer.read().decode()
            return text

    def options(self, service: str = "glue", **changes: Any) -> dict[str, Any]:
        """The options of an attach. No credentials are vended, so that the store's own secret is used."""
        found = {
            "endpoint": self.uri,
            "authorization_type": "sigv4",
            "sigv4_service": service,
            "sigv4_region": REGION,
            "access_delegation_mode": "none",
            "stage_create_tables": False,
        }
        return {key: item for key, item in {**found, **changes}.items() if item is not None}

    def secret(self, **changes: Any) -> dict[str, Any]:
        found = {
            "type": "s3",
            "name": "store",
            "key_id": self.keys[0],
            "secret": self.keys[1],
            "region": REGION,
            "endpoint": self.store,
            "use_ssl": False,
            "url_style": "path",
        }
        return {key: item for key, item in {**found, **changes}.items() if item is not None}

    def statements(self, service: str = "glue") -> list[str]:
        """What `catalog-sql` prints for a target that attaches it as `lake`."""
        from floe_monitor_duckdb import DuckDBComputePlugin  # noqa: PLC0415 - only where it is used

        from floe_monitor.registry.config_validation import build_config  # noqa: PLC0415 - only where it is used

        attach = {
            "path": ACCOUNT if service == "glue" else ARN,
            "alias": "lake",
            "type": "iceberg",
            "secret": "store",
            "options": self.options(service),
        }
        plugin = DuckDBComputePlugin()
        fields = {"plugin": "duckdb", "connection": {"attach": [attach], "secrets": [self.secret()]}}
        [catalog] = plugin.get_catalog_configs(build_config(plugin, fields))
        return plugin.get_catalog_attachment_sql(catalog)

    def fill(self, extension_directory: str) -> None:
        """Create shop.orders and two rows in it, in both catalogs, by DuckDB and the plugin's statements."""
        import duckdb  # noqa: PLC0415 - only where it is used
        from floe_monitor_duckdb import extensions  # noqa: PLC0415 - only where it is used

        for service in ("glue", "s3tables"):
            with duckdb.connect(config={"extension_directory": extension_directory}) as connection:
                for name in ("avro", "httpfs", "iceberg"):
                    extensions.load(connection, name)
                for statement in (
                    *self.statements(service),
                    f"CREATE SCHEMA IF NOT EXISTS lake.{NAMESPACE}",
                    f"CREATE TABLE lake.{NAMESPACE}.{TABLE} (id INTEGER, customer VARCHAR)",
                    f"INSERT INTO lake.{NAMESPACE}.{TABLE} VALUES (1, 'Ada'), (2, 'Grace')",  # noqa: S608 - constants
                ):
                    connection.execute(statement)


def _a_port() -> int:
    return random.randrange(20000, 32000)


def _pair(told: str) -> tuple[str, str]:
    return _between(told, "AccessKeyId"), _between(told, "SecretAccessKey")


def _between(told: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", told)
    if found is None:
        raise ValueError(f"an answer without {name}")
    return found[1]
