"""`python -m deploy.openapi` writes `docs/openapi.json`, the OpenAPI document of the HTTP API."""

from __future__ import annotations

import json
from pathlib import Path

from floe_monitor.web.openapi import build_document

CHECKED_IN = Path(__file__).parents[1] / "docs" / "openapi.json"


def document_text() -> str:
    return json.dumps(build_document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CHECKED_IN.write_text(document_text(), encoding="utf-8")
