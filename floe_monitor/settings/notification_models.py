"""The section `notifications`: who is told of what, where, and when not."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from floe_monitor.settings.durations import DAY, Duration
from floe_monitor.settings.fields import CredentialReference, LabelName, Model, Name, Pathname, VariableName
from floe_monitor.settings.maintenance_models import WindowSettings
from floe_monitor.settings.message_templates import check_template

MOST_CHANNELS = 32
MOST_QUIET_HOURS = 32
NotifiedEvent = Literal["unhealthy", "degraded", "recovered", "expiry", "monitor"]
ALL_EVENTS: tuple[NotifiedEvent, ...] = ("unhealthy", "degraded", "recovered", "expiry", "monitor")


class WebhookUrl(Model):
    """Where the address is found, or the address itself, which then holds no secret."""

    env: VariableName | None = Field(default=None, description="Environment variable that holds it")
    file: Pathname | None = Field(default=None, description="File that holds it; one final newline is cut")
    plain: str | None = Field(default=None, description="The address itself, as `url: https://…` gives it")

    @model_validator(mode="after")
    def _one_source(self) -> WebhookUrl:
        if sum(each is not None for each in (self.env, self.file, self.plain)) != 1:
            raise ValueError("give an address, or `env: NAME`, or `file: PATH`")
        if self.plain is not None:
            check_webhook_url(self.plain)
        return self


def check_webhook_url(url: str) -> None:
    """`ValueError` does not repeat it: it may hold a secret."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an address of scheme http or https: https://hooks.example/floe")
    if "@" in parts.netloc:
        raise ValueError("must hold no user and no password; the receiver checks the signature instead")


def _from_text(value: Any) -> Any:
    return {"plain": value} if isinstance(value, str) else value


class WebhookSettings(Model):
    """A signed POST of JSON."""

    url: Annotated[WebhookUrl, BeforeValidator(_from_text, json_schema_input_type=str | WebhookUrl)] = Field(
        description="Where to; by reference where the address itself is a secret"
    )
    secret: CredentialReference = Field(description="Key of the signature: whsec_… or at least 24 characters")
    former_secret: CredentialReference | None = Field(
        default=None, description="Key that signs too, until every receiver has the new one"
    )


class ChannelSettings(Model):
    """One place where messages go, and which."""

    apprise: CredentialReference | None = Field(
        default=None, description="Address of a service in Apprise's form, by reference: it holds tokens"
    )
    webhook: WebhookSettings | None = Field(default=None, description="A signed POST of JSON instead")
    events: Annotated[list[NotifiedEvent], Field(min_length=1)] = Field(
        default=list(ALL_EVENTS), description="What is told"
    )
    targets: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None, description="Of these targets alone"
    )
    labels: Annotated[dict[LabelName, str], Field(min_length=1)] | None = Field(
        default=None, description="Of targets with all of these labels alone"
    )
    repeat: Duration | None = Field(
        default=4 * 3600.0, ge=60, description="Time after which what lasts is told again; null: never"
    )
    quiet_hours: list[WindowSettings] = Field(
        default_factory=list,
        max_length=MOST_QUIET_HOURS,
        description="When nothing is sent; what was held is told after",
    )
    title: str | None = Field(default=None, description="Template of the title (Jinja)")
    body: str | None = Field(default=None, description="Template of the text (Jinja)")
    timeout: Duration = Field(default=10.0, ge=1, le=120, description="Deadline of one attempt to send")

    @field_validator("title", "body")
    @classmethod
    def _works(cls, template: str | None) -> str | None:
        return None if template is None else check_template(template)

    @model_validator(mode="after")
    def _one_way(self) -> ChannelSettings:
        if (self.apprise is None) == (self.webhook is None):
            raise ValueError("give `apprise` or `webhook`")
        if self.targets is not None and self.labels is not None:
            raise ValueError("give `targets` or `labels`; two channels where both are meant")
        if self.webhook is not None and (self.title is not None or self.body is not None):
            raise ValueError("a webhook has fields and no templates: leave `title` and `body` out")
        return self


class NotificationSettings(Model):
    """Messages to people, and to whatever takes a webhook."""

    channels: Annotated[dict[Name, ChannelSettings], Field(max_length=MOST_CHANNELS)] = Field(
        default_factory=dict, description="Where messages go, by name"
    )
    group_wait: Duration = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="How long what has begun is waited with, for what belongs to it",
    )
    recovery_wait: Duration = Field(
        default=30.0, ge=0, le=3600, description="How long it must be over before that is told"
    )
    give_up: Duration = Field(
        default=DAY, ge=60, le=31 * DAY, description="How long it is tried to send a message"
    )
    outbox: Pathname | None = Field(
        default=None,
        description="File with what is told and to be sent; unset: notifications.db beside the history's "
        "file, in $STATE_DIRECTORY, or in var",
    )
    group: Name | None = Field(
        default=None,
        description="Of monitors with the same group and history server one sends, another when it ends",
    )
