"""What the stand-in for Snowflake answers: an account that exists in this module alone, its logins, its SQL.

It is no Snowflake. It knows the statements that the plugin sends and what `dbt debug` asks, with Snowflake's
public error numbers, and counts every statement that Snowflake would start a warehouse for (`woken`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

PASSWORD = "the password of dbt"  # noqa: S105 - of an account that lives for a minute
TOKEN = "a token that was given"  # noqa: S105
Table = tuple[list[str], list[list[str | None]]]
"""Columns and rows."""
_NAME = re.compile(r"LIKE '((?:[^']|'')*)'", re.IGNORECASE)
_SCHEMA = re.compile(r'ON SCHEMA "([^"]+)"\."([^"]+)"')
_DATABASE = re.compile(r'(?:ON|IN) DATABASE "([^"]+)"')


@dataclass
class Account:
    """What exists, and who may do what with it. Names are as Snowflake stores them: upper case."""

    users: dict[str, str] = field(default_factory=lambda: {"DBT": PASSWORD})
    tokens: dict[str, str | None] = field(default_factory=lambda: {TOKEN: None})
    """Bearer tokens, each with the number of the error it meets; None where it is good."""
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Users whose login ends with an error: number and text."""
    roles: set[str] = field(default_factory=lambda: {"TRANSFORMER", "BUILDER", "READER", "PUBLIC"})
    granted: dict[str, set[str]] = field(
        default_factory=lambda: {"DBT": {"TRANSFORMER", "READER", "PUBLIC", "BUILDER"}}
    )
    inherits: dict[str, set[str]] = field(default_factory=lambda: {"TRANSFORMER": {"BUILDER"}})
    warehouses: dict[str, dict[str, str]] = field(
        default_factory=lambda: {
            "TRANSFORMING": {"state": "STARTED", "auto_resume": "true"},
            "SLEEPING": {"state": "SUSPENDED", "auto_resume": "true"},
            "OFF": {"state": "SUSPENDED", "auto_resume": "false"},
            "WATCHED": {"state": "STARTED", "auto_resume": "true"},
        }
    )
    unusable: set[str] = field(default_factory=lambda: {"WATCHED"})
    """Warehouses that are seen (MONITOR) and not to be used (USAGE)."""
    databases: dict[str, dict[str, list[tuple[str, str]]]] = field(
        default_factory=lambda: {
            "ANALYTICS": {"MARTS": [("OWNERSHIP", "BUILDER"), ("USAGE", "READER")], "PUBLIC": []},
            "SHARED": {},
        }
    )
    """Database to schema to grants (privilege, role)."""
    database_grants: dict[str, list[tuple[str, str]]] = field(
        default_factory=lambda: {"ANALYTICS": [("CREATE SCHEMA", "BUILDER"), ("USAGE", "READER")]}
    )
    hidden_grants: bool = False
    """Whether asking who has which right is refused."""
    default_warehouse: str | None = None
    """The user's, which a login without one gets."""
    secondary: str = ""
    stuck_with_primary: bool = False
    """Whether secondary roles, once given up, are refused."""
    keeps_alive: bool = False
    """Whether the account has CLIENT_SESSION_KEEP_ALIVE on for all."""
    master_seconds: int = 14400
    slow: float = 0.0
    """Seconds before each answer."""


class SnowflakeError(Exception):
    def __init__(self, code: str, message: str, sqlstate: str | None = None, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.sqlstate, self.status = code, sqlstate, status


@dataclass
class Session:
    role: str
    warehouse: str | None
    database: str | None
    secondary: str
    upstream: str = ""
    """Its token at a fakesnow server."""
    expired: str = ""
    """The number of the error that it meets; `390112` can be renewed until `lost`."""
    lost: bool = False


class Answers:
    """`forwards` leaves what only a real engine knows unanswered."""

    def __init__(self, account: Account, *, forwards: bool) -> None:
        self.account = account
        self.statements: list[str] = []
        self.woken: list[str] = []
        self._forwards = forwards

    # ------------------------------------------------------------ logins

    def login(self, query: dict[str, str], data: dict[str, Any]) -> tuple[str, Session]:
        """The user's name and a session."""
        user = str(data.get("LOGIN_NAME") or "DBT").upper()
        self._authenticate(user, data)
        role = identifier(query.get("roleName", "TRANSFORMER"))
        if role not in self.account.roles or role not in self.account.granted.get(user, set()):
            raise SnowflakeError(
                "390189",
                f"Role '{role}' specified in the connect string does not exist or not authorized.",
                "08001",
            )
        given = query.get("warehouse")
        warehouse = identifier(given) if given else self.account.default_warehouse
        usable = warehouse in self.account.warehouses and warehouse not in self.account.unusable
        database = query.get("databaseName")
        return user, Session(
            role=role,
            warehouse=warehouse if usable else None,
            database=identifier(database) if database else None,
            secondary=self.account.secondary,
        )

    def _authenticate(self, user: str, data: dict[str, Any]) -> None:
        if user in self.account.refused:
            raise SnowflakeError(*self.account.refused[user], "08001")
        method = str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        token = str(data.get("TOKEN") or "")
        if method == "SNOWFLAKE_JWT":
            if token.count(".") != 2 or user not in self.account.users:
                raise SnowflakeError("390144", "JWT token is invalid.", "08001")
        elif method in {"OAUTH", "PROGRAMMATIC_ACCESS_TOKEN"}:
            code = self.account.tokens.get(token, "390303" if method == "OAUTH" else "394400")
            if code is not None:
                raise SnowflakeError(code, "The access token is refused.", "08001")
        elif self.account.users.get(user) != data.get("PASSWORD"):
            raise SnowflakeError("390100", "Incorrect username or password was specified.", "08001")

    # ------------------------------------------------------------ statements

    def run(self, session: Session, sql: str) -> Table | None:  # noqa: PLR0911 - one for each kind
        """None for what only fakesnow may know."""
        text = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", sql)).strip().rstrip(";")
        self.statements.append(text)
        upper = text.upper()
        if upper.startswith("SHOW"):
            return self._show(text, upper)
        if upper.startswith("USE SECONDARY ROLES "):
            if self.account.stuck_with_primary and upper.endswith("ALL"):
                raise SnowflakeError("003001", "Insufficient privileges to use secondary roles.", "42501")
            session.secondary = "ALL" if upper.endswith("ALL") else ""
            return ["status"], [["Statement executed successfully."]]
        if upper.startswith("USE WAREHOUSE "):
            return self._use_warehouse(session, text)
        if upper.startswith("SELECT CURRENT_"):
            known = {
                "CURRENT_ROLE()": session.role,
                "CURRENT_WAREHOUSE()": session.warehouse,
                "CURRENT_SECONDARY_ROLES()": json.dumps({"roles": "", "value": session.secondary}),
                "CURRENT_VERSION()": "9.0.0",
            }
            names = [name.strip() for name in text[len("SELECT ") :].split(",")]
            return names, [[known.get(name.upper()) for name in names]]
        if upper.startswith("SELECT IS_ROLE_IN_SESSION"):
            roles = re.findall(r"IS_ROLE_IN_SESSION\('((?:[^']|'')*)'\)", text)
            held = self._held(session)
            return [f"R{n}" for n in range(len(roles))], [[str(role in held).lower() for role in roles]]
        if re.fullmatch(r"SELECT 1( AS ID)?", upper):
            return ["ID"], [["1"]]
        if self._forwards:
            return None
        self.woken.append(text)
        raise SnowflakeError("001003", "SQL compilation error: the stand-in does not know this", "42000")

    def _held(self, session: Session) -> set[str]:
        held, wanted = set(), [session.role]
        if session.secondary:
            wanted += self.account.granted["DBT"]
        while wanted:
            role = wanted.pop()
            if role not in held:
                held.add(role)
                wanted += self.account.inherits.get(role, set())
        return held

    def _show(self, text: str, upper: str) -> Table | None:
        account = self.account
        found = _NAME.search(text)
        like = re.compile(_pattern(found[1]), re.IGNORECASE) if found else re.compile(".*")
        if upper.startswith("SHOW WAREHOUSES"):
            rows: list[list[str | None]] = [
                [name, known["state"], known["auto_resume"]]
                for name, known in account.warehouses.items()
                if like.fullmatch(name)
            ]
            return ["name", "state", "auto_resume"], rows
        if self._forwards and (" SCHEMAS " in upper or "DATABASES" in upper):
            return None
        if "DATABASES" in upper:
            return ["created_on", "name"], [
                ["now", name] for name in account.databases if like.fullmatch(name)
            ]
        if " SCHEMAS " in upper:
            schemas = self._database(text)
            return ["created_on", "name"], [["now", name] for name in schemas if like.fullmatch(name)]
        if upper.startswith("SHOW GRANTS ON SCHEMA"):
            place = _SCHEMA.search(text)
            if place is None or place[2] not in account.databases.get(place[1], {}):
                raise SnowflakeError("002003", "Schema does not exist or not authorized.", "02000")
            grants = account.databases[place[1]][place[2]]
            if account.hidden_grants:
                raise SnowflakeError("003001", "Insufficient privileges to operate on schema.", "42501")
        elif upper.startswith("SHOW GRANTS ON DATABASE"):
            self._database(text)
            place = _DATABASE.search(text)
            grants = account.database_grants.get(place[1], []) if place else []
        else:
            raise SnowflakeError("001003", "SQL compilation error: the stand-in does not know this", "42000")
        columns = ["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name"]
        return columns, [["now", right, "OBJECT", "x", "ROLE", role] for right, role in grants]

    def _database(self, text: str) -> dict[str, list[tuple[str, str]]]:
        found = _DATABASE.search(text)
        schemas = self.account.databases.get(found[1]) if found else None
        if schemas is None:
            raise SnowflakeError(
                "002043", "Object does not exist, or operation cannot be performed.", "02000"
            )
        return schemas

    def _use_warehouse(self, session: Session, text: str) -> Table:
        name = identifier(text[len("USE WAREHOUSE ") :])
        if name not in self.account.warehouses or name in self.account.unusable:
            raise SnowflakeError(
                "002043", "Object does not exist, or operation cannot be performed.", "02000"
            )
        session.warehouse = name
        return ["status"], [["Statement executed successfully."]]


def identifier(text: str) -> str:
    """A name as Snowflake stores it."""
    text = text.strip()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.upper()


def _pattern(like: str) -> str:
    """LIKE's wildcards as a regular expression; a backslash takes the meaning from the next character."""
    parts, position = [], 0
    like = like.replace("''", "'").replace("\\\\", "\\")
    while position < len(like):
        character = like[position]
        if character == "\\" and position + 1 < len(like):
            position += 1
            parts.append(re.escape(like[position]))
        else:
            parts.append({"%": ".*", "_": "."}.get(character, re.escape(character)))
        position += 1
    return "".join(parts)
