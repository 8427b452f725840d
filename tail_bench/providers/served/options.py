"""What -M can set for a served model."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tail_bench.providers.served.wire import Api


class ServedOptions(BaseModel):
    """How a served model is asked.

    api: which server it is; by default it is asked. head: which of several scores, by number or name. tokenizer: a hub
    id or folder; by default the model's. revision, template, max_length, trust_remote_code: of the tokenizer.
    """

    model_config = ConfigDict(extra="forbid")

    api: Api | None = None
    head: int | str | None = None
    tokenizer: str | None = None
    revision: str | None = None
    template: str | None = None
    max_length: int | None = Field(default=None, ge=1)
    trust_remote_code: bool = False

    @field_validator("revision", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return value if value is None else str(value)  # a commit of digits alone is read as a number
