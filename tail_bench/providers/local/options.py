"""What -M can set for a local model."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, field_validator, model_validator

Aggregate = Literal["last", "mean", "min", "prod"]


class LoadOptions(BaseModel):
    """How a model is loaded and fed.

    dtype `auto`: the checkpoint's. device: cpu, cuda, cuda:1, mps, or auto (spread over the GPUs there are); by default
    the best one there is. batch_size: conversations in a batch.
    """

    model_config = ConfigDict(extra="forbid")

    device: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = Field(default=16, ge=1)
    max_length: int | None = Field(default=None, ge=1)
    revision: str | None = None
    template: str | None = None
    trust_remote_code: bool = False

    @field_validator("revision", "template", "ref_revision", mode="before", check_fields=False)
    @classmethod
    def _text(cls, value: Any) -> Any:
        return value if value is None else str(value)  # a commit of digits alone is read as a number

    @field_validator("device", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return f"cuda:{value}" if isinstance(value, int) and not isinstance(value, bool) else value


class RewardOptions(LoadOptions):
    """How a reward is read from a model's output.

    output: `logits`, `score` (an attribute of that name, as of ArmoRM) or `token_logit:ID` (of a causal model, at the
    last position). head: which of several labels, by number or name. step_token: put after each paragraph; the scores
    there are aggregated. new_head: a head that the folder does not have is made at random, and not refused.
    """

    output: str = "logits"
    head: StrictInt | str | None = None
    aggregate: Aggregate = "last"
    step_token: str | None = None
    new_head: bool = False

    @field_validator("output")
    @classmethod
    def _known(cls, value: str) -> str:
        if not re.fullmatch(r"logits|score|token_logit:\d+", value):
            raise ValueError("must be logits, score or token_logit:ID (the number of a token)")
        return value

    @model_validator(mode="after")
    def _fits(self) -> RewardOptions:
        if self.aggregate != "last" and self.step_token is None:
            raise ValueError(f"aggregate={self.aggregate} is over steps: it needs step_token=, the token after each")
        if self.token is not None and (self.head is not None or self.step_token is not None):
            raise ValueError(f"output={self.output} is one number: head= and step_token= do not go with it")
        return self

    @property
    def token(self) -> int | None:
        """The token whose logit is the reward, if one is."""
        return int(self.output.partition(":")[2]) if self.output.startswith("token_logit") else None


class DPOOptions(LoadOptions):
    """How DPO's implicit reward is computed.

    ref: the reference model, a folder or a hub id. norm: the `sum` of the log-ratios of the response's tokens, which is
    DPO's own and grows with length, or `avg`, per token.
    """

    ref: str
    norm: Literal["sum", "avg"] = "sum"
    ref_revision: str | None = None
