"""The null graders: what a reward that knows nothing of quality scores is the floor of every comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inspect_ai.model import ChatMessage, ChatMessageAssistant, GenerateConfig

from tail_bench.errors import prerequisite_error
from tail_bench.providers.reward_model import Reward, RewardModelAPI, stable_unit, text_of

NullGrader = Callable[[str, int, str], float]
"""(prompt, place of the response as shown, response) -> reward"""

NULL_GRADERS: dict[str, NullGrader] = {
    "constant": lambda prompt, place, text: 0.0,
    "random": lambda prompt, place, text: stable_unit(prompt, text),
    "longest": lambda prompt, place, text: float(len(text)),
    "shortest": lambda prompt, place, text: -float(len(text)),
    "first": lambda prompt, place, text: -float(place),
}


class Builtin(RewardModelAPI):
    """`builtin/NAME`: constant, random (seeded by content), longest and shortest (characters), first (as shown)."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's signature)
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if model_name not in NULL_GRADERS:
            raise prerequisite_error(
                f"builtin/{model_name}: there is {', '.join(f'builtin/{n}' for n in NULL_GRADERS)}"
            )
        if model_args:
            raise prerequisite_error(f"builtin/{model_name} takes no -M arguments, got {', '.join(sorted(model_args))}")
        self.grade = NULL_GRADERS[model_name]

    async def score(
        self,
        prompt: Sequence[ChatMessage],
        responses: Sequence[ChatMessageAssistant],
        columns: Mapping[str, Any],
    ) -> list[Reward]:
        asked = "\0".join(m.text for m in prompt)
        return [Reward(self.grade(asked, place, text_of(r))) for place, r in enumerate(responses)]

    def fingerprint(self) -> str:
        return "1"
