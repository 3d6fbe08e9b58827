"""A lakehouse whose object store vends credentials: for a session, and for no more than its policy allows."""

from __future__ import annotations

import base64
import json
import secrets

from conformance.lakehouse import Lakehouse

ROLE = "arn:aws:iam::000000000000:role/Vended"
"""What a client assumes to be given credentials."""
_ASSUMED = {
    "policy": {"defaultEffect": "Deny", "storeType": "memory"},
    "policies": [
        {
            "name": "all",
            "document": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}],
            },
        }
    ],
    "roles": [
        {
            "roleName": "Vended",
            "roleArn": ROLE,
            "trustPolicy": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["sts:AssumeRole"]}],
            },
            "attachedPolicies": ["all"],
        }
    ],
}


class VendingLakehouse(Lakehouse):
    """The object store's port answers AssumeRole for `ROLE` too."""

    @property
    def command(self) -> list[str]:
        return [*super().command, f"-s3.iam.config={self._folder / 'iam.json'}"]

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "iam.json"
        path.touch(mode=0o600)
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        sts = {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "seaweedfs", "signingKey": key}
        path.write_text(json.dumps({**_ASSUMED, "sts": sts}))
        super().start()
