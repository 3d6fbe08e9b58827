"""One sound plugin for a make-believe engine, and others with one fault each."""

import asyncio
import logging
import os
import socket
import threading
import time
import uuid
from typing import Any, ClassVar

from pydantic import Field

from floe_monitor.compute import (
    CheckResult,
    ComputeConfig,
    ComputePlugin,
    ConnectionResult,
    ConnectionStatus,
    ErrorType,
    Failure,
    ResourceSpec,
    Validation,
    deadline,
)

HEALTHY = ConnectionStatus.HEALTHY
UNHEALTHY = ConnectionStatus.UNHEALTHY
SECRET = "canary-3f1c"


class Config(ComputeConfig):
    plugin: str = "sound"
    mode: str = Field(default="up", description="What the engine does: up, down, hang")
    port: int = 1


class Sound(ComputePlugin):
    credential_keys = ("password",)
    adapter_type = "x"
    version = "1.0.0"
    floe_api_version = "1.0"
    is_self_hosted = True

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def get_config_schema(self) -> Any:
        return Config

    def validate_connection(self, config: Any) -> Any:
        validation = Validation(lambda error: Failure(ErrorType.CONNECTION, str(error)))
        with validation:
            with validation.check("connect"):
                if config.mode == "hang":
                    time.sleep(min(deadline.remaining(), 30))
                    raise TimeoutError
            with validation.check("query") as check:
                if config.mode == "down":
                    check.fail("refused", ErrorType.AUTHENTICATION)
        return validation.result("fine")

    def generate_dbt_profile(self, config: Any) -> Any:
        password = config.credentials["password"].get_secret_value()
        return {"type": "x", "mode": config.mode, "port": config.port, "password": password}

    def get_required_dbt_packages(self) -> Any:
        return ["dbt-x>=1"]


def result(status: Any = HEALTHY, latency_ms: Any = 0.1, **others: Any) -> ConnectionResult:
    others.setdefault("checks", (CheckResult("query", HEALTHY),))
    return ConnectionResult(status, latency_ms, **others)


class Returning(Sound):
    """Returns `value` for a target that is up; an ill target is told as it should be."""

    value: Any = None

    def validate_connection(self, config: Any) -> Any:
        return type(self).value if config.mode == "up" else super().validate_connection(config)


# ---------------------------------------------------------------- identity and shape


class Shouting(Sound):
    name = "Shouting"


class Versionless(Sound):
    version = "the latest"


class OddIsolation(Sound):
    default_isolation = "container"  # type: ignore[assignment]


class Upper(Sound):
    db_system_name = "DuckDB"


class Moody(Sound):
    def __init__(self) -> None:
        self.version = f"1.0.{uuid.uuid4().int % 1000}"


class Renamed(Sound):
    def validate_connection(self, target: Any) -> Any:
        return super().validate_connection(target)


class Demanding(Sound):
    def startup(self) -> None:
        raise RuntimeError("configure me first")


class Heavy(Sound):
    """Its module is another one, which imports a driver and prints."""


class Undeclared(Sound):
    credential_keys = ("passwort",)


class Mistyped(Sound):
    adapter_type = "y"


class Constructing(Sound):
    def __init__(self) -> None:
        os.environ["ACME_HOME"] = "/somewhere"


class Sticky(Sound):
    """Holds a failure against whatever it is asked about next."""

    def __init__(self) -> None:
        self._failed = False

    def validate_connection(self, config: Any) -> Any:
        if self._failed and config.mode == "down":
            validation = Validation(lambda error: Failure(ErrorType.CONNECTION, str(error)))
            with validation, validation.check("connect") as check:
                check.fail("it was down before", ErrorType.TIMEOUT)
            return validation.result()
        self._failed = self._failed or config.mode == "down"
        return super().validate_connection(config)


class Hasty(Sound):
    def prepare(self, config: Any) -> None:
        socket.getaddrinfo("localhost", 1)


class Unready(Sound):
    def prepare(self, config: Any) -> None:
        raise RuntimeError("no driver here")


# ---------------------------------------------------------------- results


class Nothing(Returning):
    value = None


class Words(Returning):
    value = "healthy"


class Text(Returning):
    value = result("healthy")


class Negative(Returning):
    value = result(latency_ms=-1.0)


class NotANumber(Returning):
    value = result(latency_ms=float("nan"))


class Microseconds(Returning):
    value = result(latency_ms=123456.0)


class Checkless(Returning):
    value = result(checks=())


class Twice(Returning):
    value = result(checks=(CheckResult("query", HEALTHY), CheckResult("query", HEALTHY)))


class Sentence(Returning):
    value = result(checks=(CheckResult("Run a query", HEALTHY),))


class Rosy(Returning):
    value = result(checks=(CheckResult("query", UNHEALTHY, error_type=ErrorType.QUERY),))


class Contradictory(Returning):
    value = result(error_type=ErrorType.QUERY)


class FreeReason(Returning):
    value = result(ConnectionStatus.DEGRADED, error_type="cosmic rays")


class Endless(Returning):
    value = result(message="x" * 1_000_000)


class Binary(Returning):
    value = result(message=b"\xff\xfe")


class OneWarning(Returning):
    value = result(warnings="slow")


class Changing(Sound):
    def validate_connection(self, config: Any) -> Any:
        found = super().validate_connection(config)
        found.checks = (
            *found.checks,
            CheckResult(f"extra:{uuid.uuid4().hex}", found.status, error_type=found.error_type),
        )
        return found


class Blind(Sound):
    def validate_connection(self, config: Any) -> Any:
        return result() if config.mode == "down" else super().validate_connection(config)


class Raising(Sound):
    def validate_connection(self, config: Any) -> Any:
        if config.mode == "down":
            raise ConnectionError("refused")
        return super().validate_connection(config)


class Unreasoned(Sound):
    def validate_connection(self, config: Any) -> Any:
        found = super().validate_connection(config)
        found.error_type = None
        return found


class Mute(Sound):
    def validate_connection(self, config: Any) -> Any:
        found = super().validate_connection(config)
        found.message = "" if config.mode == "down" else found.message
        return found


class Leaky(Sound):
    def validate_connection(self, config: Any) -> Any:
        found = super().validate_connection(config)
        if config.mode == "down":
            found.message = f"password {config.credentials['password'].get_secret_value()} refused"
        return found


class Logging(Sound):
    def validate_connection(self, config: Any) -> Any:
        logging.getLogger("driver").debug("PASSWORD=%s", config.credentials["password"].get_secret_value())
        return super().validate_connection(config)


# ---------------------------------------------------------------- time, threads, leftovers


class Deaf(Sound):
    """Ignores its deadline."""

    def validate_connection(self, config: Any) -> Any:
        if config.mode == "hang":
            time.sleep(15)
            return result(UNHEALTHY, 3000, error_type=ErrorType.TIMEOUT, checks=())
        return super().validate_connection(config)


class ZeroIsForever(Sound):
    """Passes what remains on, to a driver to which 0 means no timeout."""

    def validate_connection(self, config: Any) -> Any:
        if config.mode == "hang" and deadline.remaining() == 0:
            time.sleep(15)
        return super().validate_connection(config)


class Miscalled(Sound):
    def validate_connection(self, config: Any) -> Any:
        found = super().validate_connection(config)
        if config.mode == "hang":
            found.error_type = ErrorType.CONNECTION
        return found


class OneAtATime(Sound):
    busy = threading.Lock()

    def validate_connection(self, config: Any) -> Any:
        if not self.busy.acquire(blocking=False):
            return result(UNHEALTHY, error_type=ErrorType.CONNECTION)
        try:
            time.sleep(0.02)
            return super().validate_connection(config)
        finally:
            self.busy.release()


class Spawning(Sound):
    def validate_connection(self, config: Any) -> Any:
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        return super().validate_connection(config)


class Holding(Sound):
    held: ClassVar[list[Any]] = []

    def validate_connection(self, config: Any) -> Any:
        if config.mode == "down":  # the path on which it is forgotten
            self.held.append(os.dup(0))
        return super().validate_connection(config)


class Looping(Sound):
    """An event loop per validation, never closed."""

    held: ClassVar[list[Any]] = []

    def validate_connection(self, config: Any) -> Any:
        self.held.append(asyncio.new_event_loop())
        return super().validate_connection(config)


class Printing(Sound):
    def validate_connection(self, config: Any) -> Any:
        os.write(1, b"connected!\n")
        return super().validate_connection(config)


class Exporting(Sound):
    def validate_connection(self, config: Any) -> Any:
        os.environ["PASSWORD_OF_X"] = config.credentials["password"].get_secret_value()
        return super().validate_connection(config)


class Littering(Sound):
    def validate_connection(self, config: Any) -> Any:
        with open("driver.log", "a"):  # noqa: PTH123
            pass
        return super().validate_connection(config)


class Meddling(Sound):
    def validate_connection(self, config: Any) -> Any:
        config.connection["seen"] = True
        return super().validate_connection(config)


# ---------------------------------------------------------------- profile


class Profile(Sound):
    change: ClassVar[dict[str, Any]] = {}

    def generate_dbt_profile(self, config: Any) -> Any:
        return {**super().generate_dbt_profile(config), **self.change}


class Typeless(Profile):
    change: ClassVar[dict[str, Any]] = {"type": None}


class Exotic(Profile):
    change: ClassVar[dict[str, Any]] = {"status": HEALTHY}


class Tuples(Profile):
    change: ClassVar[dict[str, Any]] = {"hosts": ("a", "b")}


class Random(Sound):
    def generate_dbt_profile(self, config: Any) -> Any:
        return {**super().generate_dbt_profile(config), "session": uuid.uuid4().hex}


class Reading(Sound):
    def generate_dbt_profile(self, config: Any) -> Any:
        with open(os.devnull):  # noqa: PTH123
            return super().generate_dbt_profile(config)


class Passwordless(Profile):
    change: ClassVar[dict[str, Any]] = {"password": ""}


class Masking(Sound):
    def generate_dbt_profile(self, config: Any) -> Any:
        return {**super().generate_dbt_profile(config), "user": str(config.credentials["password"])}


class Remembering(Sound):
    """Writes down a value it saw while it validated, or was configured elsewhere."""

    def generate_dbt_profile(self, config: Any) -> Any:
        return {**super().generate_dbt_profile(config), "hint": SECRET}


class Arithmetic(Sound):
    def generate_dbt_profile(self, config: Any) -> Any:
        return {**super().generate_dbt_profile(config), "port": int(config.port)}


class Forgetful(Sound):
    def generate_dbt_profile(self, config: Any) -> Any:
        return {
            "type": "x",
            "port": config.port,
            "password": config.credentials["password"].get_secret_value(),
        }


class Importing(Sound):
    def generate_dbt_profile(self, config: Any) -> Any:
        password = config.credentials.get("password")
        extra = {"password": password.get_secret_value()} if password else {}
        return {"type": "x", "mode": config.mode, "port": config.port, **extra}

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        return {"connection": {"mode": output["mode"]}}  # and the port is gone


# ---------------------------------------------------------------- the rest


class Sizes(Sound):
    def get_resource_requirements(self, workload_size: str) -> ResourceSpec:
        return ResourceSpec()


class Inverted(Sound):
    def get_resource_requirements(self, workload_size: str) -> ResourceSpec:
        super().get_resource_requirements(workload_size)
        return ResourceSpec(memory_request="2Gi", memory_limit="1900Mi")


class Fruit(Sound):
    def get_resource_requirements(self, workload_size: str) -> ResourceSpec:
        super().get_resource_requirements(workload_size)
        return ResourceSpec(cpu_request="banana")


class BadPackage(Sound):
    def get_required_dbt_packages(self) -> Any:
        return ["dbt-x => 1"]


class NoAdapter(Sound):
    def get_required_dbt_packages(self) -> Any:
        return ["driver-of-x"]


class Injectable(Sound):
    def get_catalog_attachment_sql(self, catalog_config: Any) -> Any:
        return [f"ATTACH '{catalog_config.catalog_uri}'"]


class OneStatement(Sound):
    def get_catalog_attachment_sql(self, catalog_config: Any) -> Any:
        return "ATTACH x"


class Tolerant(Sound):
    def get_config_schema(self) -> Any:
        from pydantic import BaseModel, ConfigDict

        class Anything(BaseModel):
            model_config = ConfigDict(extra="allow")

        return Anything

    def validate_connection(self, config: Any) -> Any:
        return super().validate_connection(Config(**config.model_dump()))

    def generate_dbt_profile(self, config: Any) -> Any:
        password = config.credentials["password"].get_secret_value()
        return {"type": "x", **config.connection, "password": password}


class Schemaless(Tolerant):
    def get_config_schema(self) -> Any:
        return None


def sound_and_faulty() -> dict[str, type[Sound]]:
    """Class by entry-point name."""
    bases = {Returning, Profile}
    found = [value for value in globals().values() if isinstance(value, type) and issubclass(value, Sound)]
    return {value.__name__.lower(): value for value in found if value not in bases}
