"""Catalog, schema and rights in Unity Catalog, by its REST API: no statement runs, no warehouse is needed.

What the API shows of rights depends on who asks. A right counts as missing only where what is shown explains
how the user got as far as here; else the check says that it is not shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from floe_monitor.compute import ErrorType
from floe_monitor_databricks.errors import ApiError, UnexpectedAnswerError
from floe_monitor_databricks.session import segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Check
    from floe_monitor_databricks.session import Identity, Session

API = "/api/2.1/unity-catalog"
EVERYBODY = frozenset({"account users"})
"""A group of each account to which all its users and service principals belong."""
WHOLE = "ALL_PRIVILEGES"
MOST_PAGES = 20
_READ_ONLY_KINDS = frozenset({"DELTASHARING_CATALOG", "SYSTEM_CATALOG", "FOREIGN_CATALOG"})
"""Types of catalogs in which nobody makes a schema or a table."""


class UnityCatalog:
    """What a validation learns of one catalog and schema."""

    def __init__(self, session: Session, catalog: str, schema: str) -> None:
        # Unity Catalog keeps names in lower case.
        self._session, self._catalog, self._schema = session, catalog.lower(), schema.lower()
        self._owners: set[str] = set()
        self._schema_exists = False

    def judge_catalog(self, check: Check) -> None:
        try:
            found = self._session.get(f"{API}/catalogs/{segment(self._catalog)}", "the catalog")
        except ApiError as error:
            if not error.is_missing:
                raise
            check.degrade(
                f"catalog {self._catalog!r} does not exist, or the user has no right on it: {error.said}",
                ErrorType.CONFIGURATION,
            )
            return
        self._note_owner(found)
        kind = str(found.get("catalog_type") or "")
        if found.get("browse_only") is True:
            check.degrade(
                f"the user may browse catalog {self._catalog!r} and has no USE CATALOG on it",
                ErrorType.PERMISSION,
            )
        elif kind in _READ_ONLY_KINDS:
            check.degrade(
                f"catalog {self._catalog!r} is of type {kind}: dbt can read there and build nothing",
                ErrorType.CONFIGURATION,
            )

    def judge_schema(self, check: Check) -> None:
        full_name = segment(f"{self._catalog}.{self._schema}")
        try:
            found = self._session.get(f"{API}/schemas/{full_name}", "the schema")
        except ApiError as error:
            if not error.is_missing:
                raise
            check.message = f"schema {self._schema!r} is not there"
            return
        self._schema_exists = True
        if found.get("browse_only") is True:
            check.degrade(
                f"the user may browse schema {self._schema!r} and has no USE SCHEMA on it",
                ErrorType.PERMISSION,
            )
        self._owners.clear()
        self._note_owner(found)

    def judge_rights(self, check: Check) -> None:
        """After the other two. A schema that dbt creates is its user's own."""
        wanted, known = (
            ("CREATE_TABLE", "USE_SCHEMA") if self._schema_exists else ("CREATE_SCHEMA", "USE_CATALOG")
        )
        missing = "" if self._schema_exists else f"schema {self._schema!r} is not there; "
        try:
            asks = self._session.who_asks()
            if self._owners & _names_of(asks):
                held, others = {WHOLE}, frozenset[str]()
            else:
                held, others = self._held(asks, wanted)
        except ApiError as error:
            check.warn(f"{missing}whether dbt may build there is not shown: {error}")
            return
        right = wanted.replace("_", " ")
        if held & {wanted, WHOLE}:
            if missing:
                check.warn(f"{missing}dbt creates it")
        elif known in held and not others:
            check.degrade(
                f"{missing}the user has no {right} on {self._place}: dbt can build nothing there",
                ErrorType.PERMISSION,
            )
        else:
            check.warn(
                f"{missing}whether the user has {right} on {self._place} is not shown: by a group perhaps"
            )

    @property
    def _place(self) -> str:
        kind = "schema" if self._schema_exists else "catalog"
        return f"{kind} {self._schema if self._schema_exists else self._catalog!r}"

    def _note_owner(self, found: Mapping[str, Any]) -> None:
        if isinstance(owner := found.get("owner"), str):
            self._owners.add(owner)

    def _held(self, asks: Identity, wanted: str) -> tuple[set[str], frozenset[str]]:
        """What whoever asks holds, inherited rights included, and other groups that hold the wanted one."""
        held: set[str] = set()
        others: set[str] = set()
        for principal, privileges in self._assignments():
            if principal in _names_of(asks):
                held |= privileges
            elif privileges & {wanted, WHOLE} and not _is_one_user(principal):
                others.add(principal)
        return held, frozenset(others)

    def _assignments(self) -> list[tuple[str, set[str]]]:
        kind, name = (
            ("schema", f"{self._catalog}.{self._schema}")
            if self._schema_exists
            else ("catalog", self._catalog)
        )
        place = f"{API}/effective-permissions/{kind}/{segment(name)}"
        asked = {"max_results": "0"}
        found: list[tuple[str, set[str]]] = []
        for _ in range(MOST_PAGES):
            page = self._session.get(f"{place}?{urlencode(asked)}", "the rights")
            for each in _list(page, "privilege_assignments"):
                names = {str(one.get("privilege")) for one in _list(each, "privileges")}
                found.append((str(each.get("principal") or ""), names))
            token = page.get("next_page_token")
            if not token:
                return found
            asked["page_token"] = str(token)
        raise UnexpectedAnswerError(f"the rights on {kind} {name!r} fill more than {MOST_PAGES} pages")


def _names_of(asks: Identity) -> frozenset[str]:
    return asks.groups | EVERYBODY | {asks.name}


def _is_one_user(principal: str) -> bool:
    """An address is a user's, and an application id, of the form of a UUID, a service principal's."""
    return "@" in principal or (len(principal) == 36 and principal.count("-") == 4)


def _list(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    values = found.get(key)
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []
