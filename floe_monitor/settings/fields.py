"""What the models of the configuration share: their base, constrained texts, references to credentials."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from floe_monitor.credentials.references import Reference

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=128)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Pathname = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
OutputName = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$", max_length=1024)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?$", max_length=253)]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=64)]
Objective = Annotated[float, Field(gt=0, lt=100)]
"""A percentage."""


class Model(BaseModel):
    """Unknown keys are errors; a configuration never changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CredentialReference(Model):
    """Where a credential is found at probe time. Never the value itself."""

    env: VariableName | None = Field(
        default=None, description="Environment variable; also its name in profiles.yml"
    )
    file: Pathname | None = Field(
        default=None,
        description="File that holds it, read at each probe; one final newline is cut",
    )

    @property
    def reference(self) -> Reference:
        return Reference(self.env, self.file)

    @model_validator(mode="after")
    def _one_source(self) -> CredentialReference:
        if self.env is None and self.file is None:
            raise ValueError("give `env: NAME` or `file: PATH`")
        return self
