"""The configuration of a DuckDB target: dbt-duckdb's own keys, and a few that only the monitor reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from floe_monitor.compute import DuckDBComputeConfig
from floe_monitor.compute.toolkit.env_references import is_template
from floe_monitor_duckdb.iceberg.catalog import EXTENSIONS, Catalog, CatalogError, HttpOptions, is_iceberg
from floe_monitor_duckdb.iceberg.description import read_catalog
from floe_monitor_duckdb.paths import MEMORY, catalog_name, database_name, scheme_of
from floe_monitor_duckdb.sensitivity import sensitive_texts
from floe_monitor_duckdb.sql import RESERVED

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
SettingName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", max_length=128)]
Scalar = str | int | float | bool

_SHORTEST_SECRET = 8
_OFF = frozenset({"false", "0", "f", "no", "n"})
MOTHERDUCK_TOKEN = "motherduck_token"  # noqa: S105 - the key's name
CREDENTIAL_KEYS = (MOTHERDUCK_TOKEN, "*.*")
"""`<secret>.<key>`, or `<alias>.<key>` of an Iceberg catalog."""
CREDENTIAL_CHAIN = "credential_chain"
MONITOR_ONLY = frozenset({"must_exist", "check_writable"})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtensionSource(_Part):
    """An extension from a repository of its own, as dbt-duckdb takes it."""

    name: Identifier = Field(description="Extension")
    repo: str = Field(min_length=1, description="Repository: community, or a URL in single quotes")


class Secret(BaseModel):
    """One entry of DuckDB's secret manager; keys beyond these are the secret type's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Identifier = Field(description="Kind of secret: s3, gcs, azure, iceberg, postgres …")
    name: Identifier | None = Field(default=None, description="Name, for `attach` to refer to")
    provider: Identifier | None = Field(default=None, description="Provider: config, credential_chain …")
    persistent: bool | None = Field(default=None, description="Whether DuckDB stores it on disk")
    scope: str | list[str] | None = Field(default=None, description="Path prefixes it is for")

    @model_validator(mode="after")
    def _keys_are_words(self) -> Self:
        for key in self.model_extra or {}:
            if not key.isascii() or not key.isidentifier():
                raise ValueError("the keys of a secret are plain words")
        return self


class Attachment(_Part):
    """One more database for the session."""

    path: str = Field(min_length=1, description="File, URL or catalog to attach")
    alias: Identifier | None = Field(default=None, description="Name in SQL")
    type: Identifier | None = Field(default=None, description="duckdb, sqlite, postgres, iceberg …")
    secret: Identifier | None = Field(default=None, description="Name of the secret to use")
    read_only: bool = Field(default=False, description="Attach without the right to write")
    options: dict[SettingName, Scalar | None] | None = Field(default=None, description="More ATTACH options")
    is_ducklake: bool | None = Field(default=None, description="Treat as DuckLake")

    required: bool = Field(
        default=False, description="Its failure is UNHEALTHY, not DEGRADED. Iceberg only. Not dbt's"
    )
    probe_table: Annotated[str, Field(pattern=r"^[^.\x00]+(\.[^.\x00]+)+$", max_length=512)] | None = Field(
        default=None, description="namespace.table of which each probe reads a row. Iceberg only. Not dbt's"
    )

    @property
    def is_iceberg(self) -> bool:
        return is_iceberg(self.path, self.type)

    @property
    def database(self) -> str:
        """Its name in SQL."""
        return self.alias or catalog_name(self.path)


class Retries(_Part):
    """How often dbt tries again."""

    connect_attempts: int = Field(default=1, ge=1, description="Attempts to open the database")
    query_attempts: int | None = Field(default=None, ge=1, description="Attempts of one query")
    retryable_exceptions: list[str] | None = Field(default=None, description="DuckDB exceptions to retry on")


class Filesystem(BaseModel):
    """An fsspec file system that dbt registers; keys beyond `fs` are its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    fs: str = Field(min_length=1, description="fsspec's name of the implementation")


class DbtPlugin(_Part):
    """A plugin that dbt-duckdb loads."""

    module: str = Field(min_length=1, description="One of dbt-duckdb's own, or a Python module")
    alias: str | None = Field(default=None, description="Name in sources and models")
    config: dict[str, Any] | None = Field(default=None, description="The plugin's own keys")


class DuckDBConfig(DuckDBComputeConfig):
    """The keys of `connection`, under dbt-duckdb's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["duckdb"] = "duckdb"
    path: str = Field(default=MEMORY, min_length=1, description="Database file, or :memory:")
    memory_limit: str = Field(default="4GB", description="DuckDB's memory limit, written to settings")
    extensions: list[Identifier | ExtensionSource] = Field(  # type: ignore[assignment]  # dbt takes both forms
        default_factory=list, description="Extensions to load"
    )
    database: str | None = Field(default=None, description="dbt's database; must be what the path implies")
    schema_: str | None = Field(default=None, alias="schema", description="dbt's default schema")
    settings: dict[SettingName, Scalar | None] = Field(
        default_factory=dict,
        description="SET at every connection; null for memory_limit or threads leaves them to DuckDB",
    )
    config_options: dict[SettingName, Scalar] = Field(
        default_factory=dict, description="Options given when the database is opened"
    )
    secrets: list[Secret] = Field(default_factory=list, description="DuckDB secrets, created in this order")
    attach: list[Attachment] = Field(default_factory=list, description="Further databases and catalogs")
    retries: Retries | None = Field(default=None, description="dbt's retries")
    external_root: str | None = Field(default=None, description="Folder of external materializations")
    use_credential_provider: Annotated[str, Field(pattern=r"^aws$|[{]")] | None = Field(
        default=None, description="aws: the default credential chain"
    )
    filesystems: list[Filesystem] | None = Field(default=None, description="fsspec file systems of dbt")
    plugins: list[DbtPlugin] | None = Field(default=None, description="dbt-duckdb plugins")
    module_paths: list[str] | None = Field(default=None, description="Python paths for dbt")
    disable_transactions: bool | None = Field(default=None, description="Run dbt without transactions")
    keep_open: bool | None = Field(default=None, description="Keep the database open between invocations")
    is_ducklake: bool | None = Field(default=None, description="Treat the database as DuckLake")

    must_exist: bool = Field(
        default=False, description="A missing file is UNHEALTHY; else dbt would create it. Not dbt's"
    )
    check_writable: bool = Field(
        default=True,
        description="Whether the monitor may write says whether dbt may; false where it runs as another "
        "user or sees the file through a read-only mount. Not dbt's",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = self.settings.get("memory_limit")
        if given is not None and "memory_limit" in self.model_fields_set and given != self.memory_limit:
            raise ValueError("memory_limit is given twice, in `settings` and beside it, with two values")
        aliases = [entry.alias for entry in self.attach if entry.alias]
        if len({alias.lower() for alias in aliases}) < len(aliases):
            raise ValueError("two entries of attach have the same alias")
        names = [secret.name.lower() for secret in self.secrets if secret.name]
        if len(set(names)) < len(names):
            raise ValueError("two secrets have the same name")
        if self.database is not None and not is_template(self.path + self.database):
            implied = database_name(self.path)
            if self.database not in {implied, *aliases}:
                raise ValueError(
                    f"database must be {implied!r}, which dbt derives from the path, or an alias"
                )
        self._attachments_can_work()
        return self

    def _attachments_can_work(self) -> None:
        for index, entry in enumerate(self.attach):
            for key, beside in (
                ("type", entry.type),
                ("secret", entry.secret),
                ("read_only", entry.read_only),
            ):
                if beside and key in (entry.options or {}):
                    raise _located(index, ("options", key), f"is given twice, here and as `{key}` beside it")
            for key in ("alias", "secret"):
                if str(getattr(entry, key)).lower() in RESERVED:
                    raise _located(index, (key,), "is a reserved word, which dbt-duckdb would write unquoted")
            if entry.is_iceberg:
                try:
                    self._catalog(entry)
                except CatalogError as error:
                    raise _located(index, error.path, str(error)) from None
            elif entry.required or entry.probe_table is not None:
                key = "required" if entry.required else "probe_table"
                raise _located(index, (key,), "is for Iceberg catalogs alone: others are not checked")

    def _catalog(self, entry: Attachment) -> Catalog:
        own = f"{entry.alias}."
        names = {secret.name for secret in self.secrets if secret.name}
        return read_catalog(
            path=entry.path,
            alias=entry.alias,
            kind=entry.type,
            secret=entry.secret,
            options=entry.options or {},
            secrets=self.all_secrets(),
            credentials={
                name.removeprefix(own): value.get_secret_value()
                for name, value in self.credentials.items()
                if name.startswith(own) and entry.alias not in names
            },
            read_only=entry.read_only,
            required=entry.required,
            probe_table=entry.probe_table,
        )

    def catalogs(self) -> list[Catalog]:
        """The Iceberg catalogs of `attach`, in order, in DuckDB's terms."""
        return [self._catalog(entry) for entry in self.attach if entry.is_iceberg]

    def all_secrets(self) -> list[dict[str, Any]]:
        """The secrets, each with the credentials that are named `<secret>.<key>` in their place."""
        added: dict[str, dict[str, str]] = {}
        for name, value in self.credentials.items():
            owner, _, key = name.partition(".")
            added.setdefault(owner, {})[key] = value.get_secret_value()
        dumped = [secret.model_dump(exclude_none=True) for secret in self.secrets]
        complete = [{**each, **added.get(each.get("name", ""), {})} for each in dumped]
        return [Secret.model_validate(each).model_dump(exclude_none=True) for each in complete]

    def session_secrets(self) -> list[dict[str, Any]]:
        """All that dbt-duckdb creates, in its order: those without a name have the one it makes up."""
        secrets = self.all_secrets()
        if self.use_credential_provider:
            secrets.append({"type": "s3", "provider": CREDENTIAL_CHAIN})
        return [{"name": f"_dbt_secret_{number}", **each} for number, each in enumerate(secrets, start=1)]

    @property
    def asks_chain(self) -> bool:
        """Whether a secret takes its credentials from where only the cloud's own code knows to look."""
        return any(
            str(each.get("provider", "")).lower() == CREDENTIAL_CHAIN for each in self.session_secrets()
        )

    def secret_values(self) -> list[str]:
        """The credentials that DuckDB or a server may repeat in what it says.

        Without those of a few characters, which would blot ordinary words in what the plugin itself says.
        """
        given = {name: value.get_secret_value() for name, value in self.credentials.items()}
        parts: list[Any] = [given, self.all_secrets(), self.settings, self.config_options]
        parts += [entry.options for entry in self.attach]
        parts += [dict(catalog.oauth) for catalog in self.catalogs()]
        texts = (text for part in parts for _, text in sensitive_texts(part))
        return [text for text in texts if len(text) >= _SHORTEST_SECRET]

    @property
    def is_memory(self) -> bool:
        return self.path.startswith(MEMORY)

    @property
    def is_file(self) -> bool:
        """False for :memory: and for what DuckDB reaches through an extension (`md:`, `s3://` …)."""
        return not self.is_memory and not scheme_of(self.path)

    @property
    def has_session(self) -> bool:
        """Whether dbt does anything with the database that it has opened, before its first query."""
        given = (self.settings, self.extensions, self.attach, self.secrets, self.use_credential_provider)
        return any(given) or self.is_locked or bool(self.temporary_directory)

    @property
    def extension_names(self) -> list[str]:
        """Those configured; where an Iceberg catalog is attached, what it needs comes before them."""
        return [item if isinstance(item, str) else item.name for item in self.extensions_in_force()]

    def extensions_in_force(self) -> list[str | ExtensionSource]:
        given = [item if isinstance(item, str) else item.name for item in self.extensions]
        needed = EXTENSIONS if any(entry.is_iceberg for entry in self.attach) else ()
        return [*(name for name in needed if name not in given), *self.extensions]

    @property
    def http_options(self) -> HttpOptions:
        """DuckDB's HTTP as it attaches for dbt: `settings` come into force only after that."""
        options = {name.lower(): item for name, item in self.config_options.items()}
        ca_file = options.get("ca_cert_file")
        return HttpOptions(
            ca_file=str(ca_file) if ca_file else None,
            verify=str(options.get("enable_curl_server_cert_verification", True)).lower() not in _OFF,
            tries_next_address=str(options.get("httpfs_client_implementation", "")).lower() != "httplib",
        )

    @property
    def read_only(self) -> bool:
        return str(self.config_options.get("access_mode", "")).lower() == "read_only"

    @property
    def is_locked(self) -> bool:
        """Whether the engine refuses every SET from the beginning."""
        return str(self._option("lock_configuration") or "false").lower() not in _OFF

    @property
    def temporary_directory(self) -> str | None:
        found = {name.lower(): value for name, value in self.settings.items()}.get("temp_directory")
        value = found if found is not None else self._option("temp_directory")
        return None if value is None else str(value)

    def _option(self, name: str) -> Scalar | None:
        return next((value for key, value in self.config_options.items() if key.lower() == name), None)

    @property
    def extension_directory(self) -> str | None:
        value = self.config_options.get("extension_directory")
        return None if value is None else str(value)

    def settings_in_force(self) -> dict[str, Scalar]:
        """`settings` with memory_limit and threads, as the profile has them; null entries left out."""
        merged: dict[str, Scalar | None] = {
            "memory_limit": self.memory_limit,
            "threads": self.threads,
            **self.settings,
        }
        return {name: value for name, value in merged.items() if value is not None}


def _located(index: int, path: tuple[str | int, ...], message: str) -> ValidationError:
    """A problem of one entry of `attach`, which pydantic reports at its place."""
    kind = PydanticCustomError("attachment", "{problem}", {"problem": message})
    return ValidationError.from_exception_data(
        "attach", [InitErrorDetails(type=kind, loc=("attach", index, *path), input=None)]
    )
