"""What a reward model is to Inspect: a provider whose generate() takes a prompt and K responses and returns K choices.

A method of our own beside generate() would bypass Inspect's events, retries, limits and cache. So the K responses
come as the conversation's last messages, marked in their metadata, and each choice carries the reward of one.
"""

from __future__ import annotations

import abc
import contextlib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any, ClassVar, NamedTuple

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from tail_bench.graders.messages import COLUMNS

FACTS = "facts"
"""Key of facts() in an output's metadata."""


class Reward(NamedTuple):
    """A finite reward, or None with the reason why there is none.

    alone: why it was not scored with its ladder. truncated: the response, or its prompt, was cut to be scored.
    """

    value: float | None
    reason: str | None = None
    alone: str | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A prompt and the K responses to score.

    columns: the ladder's extra fields. truncate: what is too long is cut, and not unscored. again: a second scoring of
    the same, in batches composed otherwise (one by one), to see what that changes.
    """

    prompt: Sequence[ChatMessage]
    responses: Sequence[ChatMessageAssistant]
    columns: Mapping[str, Any] = field(default_factory=dict)
    truncate: bool = False
    again: bool = False


class RewardModelAPI(ModelAPI):
    """A provider that scores responses. A subclass scores; what Inspect wants is done here.

    repeats: whether its rewards may depend on what else is in a batch, so that some ladders are worth a second scoring.
    """

    repeats: ClassVar[bool] = False

    @abc.abstractmethod
    async def score(self, request: ScoreRequest) -> list[Reward]:
        """A reward for each of the responses.

        One response that cannot be scored nulls only itself; an exception is for what Inspect may retry.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """What scores depend on beyond the model's name and the messages; a reward cached under another is not used."""

    def check(self) -> None:
        """InputError where the model as it is set up can score nothing: before a run, so without loading weights.

        Not in __init__, which Inspect calls a second time in a run, without the -M arguments.
        """

    def facts(self) -> dict[str, Any]:
        """How scores are computed (engine, dtype, template_hash, ...), for log, report and a score file's header.

        Asked for after a call. `warnings`, a list, are for the reader of the report.
        """
        return {}

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        responses = [m for m in input if isinstance(m, ChatMessageAssistant) and (m.metadata or {}).get("candidate")]
        prompt = [m for m in input if not any(m is r for r in responses)]
        if not responses:
            raise ValueError(f"{self.model_name} scores responses and writes no text: use it with tail_reward")
        how = responses[0].metadata or {}
        request = ScoreRequest(
            prompt=prompt,
            responses=responses,
            columns=(prompt[-1].metadata or {}).get(COLUMNS, {}) if prompt else {},
            truncate=how.get("truncate", False),
            again=how.get("again", False),
        )
        rewards = await self.score(request)
        return ModelOutput(model=self.model_name, choices=[_choice(r) for r in rewards], metadata={FACTS: self.facts()})

    async def count_text_tokens(self, text: str) -> int:
        # Inspect's own estimate loads a tokenizer from the network; nothing here is billed by the token.
        return len(text) // 4

    def force_reasoning_history(self) -> Any:
        return "all"  # -T thinking= decides; Inspect's --reasoning-history must not bend a reward


def _choice(reward: Reward) -> ChatCompletionChoice:
    text = repr(reward.value) if reward.value is not None else f"unscored: {reward.reason}"
    message = ChatMessageAssistant(content=text, metadata=reward._asdict())
    return ChatCompletionChoice(message=message, stop_reason="stop")


def rewards_of(output: ModelOutput, k: int) -> list[Reward]:
    """The K rewards that an output carries; where it does not carry K, none of them can be told whose it is."""
    if output.error or len(output.choices) != k:
        return [Reward(None, output.error or f"{len(output.choices)} rewards came back for {k} responses")] * k
    rewards = []
    for choice in output.choices:
        said = choice.message.metadata or {}
        value = said.get("value")
        own = Reward(None, said.get("reason")) if value is None else as_reward(value)
        rewards.append(own._replace(alone=said.get("alone"), truncated=said.get("truncated", False)))
    return rewards


def as_reward(value: Any) -> Reward:
    """A reward from what a scorer returned: a finite number (also of numpy or torch); all else is unscored."""
    if value is None:
        return Reward(None, "returned None")
    plain = value
    if callable(getattr(value, "item", None)):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # an array of more than one element
            plain = value.item()
    if not isinstance(plain, (Real, Decimal)):
        return Reward(None, f"returned {_short(value)}, not a number")
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    return Reward(number) if math.isfinite(number) else Reward(None, f"returned {number}")


def _short(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def stable_unit(*texts: str) -> float:
    """A number in [0, 1) that is random in the texts and the same on every machine."""
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
