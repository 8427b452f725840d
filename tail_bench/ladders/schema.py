"""The records of a data set: one prompt with K graded responses is a ladder."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

Tier = Literal["excellent", "great", "good", "poor"]


def _reject_non_numbers(value: Any) -> Any:
    # Lax mode would read True as 1.0 and "3" as 3.0: both are slips in a data file, not numbers.
    if isinstance(value, (bool, str)):
        raise ValueError(f"must be a number, got {value!r}")
    return value


def _id(value: Any) -> Any:
    # Public sets number their rows; 17 and "17" name the same ladder.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[FiniteFloat, BeforeValidator(_reject_non_numbers)]
Id = Annotated[str, BeforeValidator(_id), Field(min_length=1)]


def _nothing_said(value: Any) -> Any:
    return "" if value is None else value  # OpenAI's form has null where there are only tool calls


def _named(value: Any) -> Any:
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise ValueError('must be {"function": {"name": ..., "arguments": ...}} or {"name": ..., "arguments": ...}')
    return value


Text = Annotated[str, BeforeValidator(_nothing_said)]
ToolCall = Annotated[dict[str, Any], BeforeValidator(_named)]


class Message(BaseModel):
    """One turn of a prompt, in the OpenAI form."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "user", "assistant", "tool"]
    content: Text = ""
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.content.strip() and not self.tool_calls and self.role != "tool":
            raise ValueError("is empty: a message needs content or tool_calls")
        return self


class Response(BaseModel):
    """One response with its gold quality (higher is better, on the data set's own scale)."""

    model_config = ConfigDict(extra="allow")

    id: Id
    text: Text
    gold: Number
    tier: Tier | None = None
    generator: str | None = None
    variant: str | None = None
    defects: list[str] = []
    ratings: dict[str, Number] | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None

    @field_validator("defects", mode="before")
    @classmethod
    def _no_defects(cls, value: Any) -> Any:
        return [] if value is None else value

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if not self.text.strip() and not self.tool_calls:
            raise ValueError("has an empty text")
        return self


class Criterion(BaseModel):
    """One yes-or-no criterion of a rubric; negative weights count against a response."""

    model_config = ConfigDict(extra="allow")

    criterion: str = Field(min_length=1)
    weight: Number


class Check(BaseModel):
    """A criterion that a program decides: `name` is a function of tail_bench.ladders.checks."""

    model_config = ConfigDict(extra="allow")

    name: str
    args: dict[str, Any] = {}
    weight: Number
    criterion: str = Field(min_length=1)
    defect: str | None = None


class Ladder(BaseModel):
    """One prompt with at least two responses. Unknown extra fields are kept and go to graders as columns."""

    model_config = ConfigDict(extra="allow")

    id: Id
    prompt: str | list[Message]
    responses: list[Response] = Field(min_length=2)
    domain: str | None = None
    source: str | None = None
    rubric: list[Criterion] | None = None
    checks: list[Check] | None = None
    split: str | None = None
    canary: str | None = None

    @field_validator("prompt")
    @classmethod
    def _asks_something(cls, value: str | list[Message]) -> str | list[Message]:
        if isinstance(value, str):
            if not value.strip():
                raise ValueError("is empty")
        elif not value:
            raise ValueError("has no messages")
        elif value[-1].role == "assistant":
            raise ValueError("ends with an assistant message: the responses are what the assistant says next")
        return value

    @field_validator("responses")
    @classmethod
    def _distinct_ids(cls, value: list[Response]) -> list[Response]:
        seen: set[str] = set()
        for response in value:
            if response.id in seen:
                raise ValueError(f"the response id {response.id!r} is there twice")
            seen.add(response.id)
        return value
