"""`builtin/reference`: the small Bradley-Terry reward model that comes with tail_bench, on the CPU, without torch."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from inspect_ai.model import GenerateConfig

from tail_bench.errors import prerequisite_error
from tail_bench.graders.messages import text_of
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest, as_reward
from tail_bench.reference.model import ReferenceModel, load


class ReferenceRewardModel(RewardModelAPI):
    """A reward model only: it writes no text, so judge and verifier it cannot be."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's signature)
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if model_args:
            raise prerequisite_error(f"builtin/{model_name} takes no -M arguments, got {', '.join(sorted(model_args))}")

    @cached_property
    def model(self) -> ReferenceModel:
        """The model, loaded when it is first needed: Inspect makes a provider twice in a run."""
        return load()

    def check(self) -> None:
        """InputError where the weights are damaged."""
        _ = self.model

    async def score(self, request: ScoreRequest) -> list[Reward]:
        prompt = "\n\n".join(m.text for m in request.prompt if m.text)
        return [as_reward(value) for value in self.model.score(prompt, [text_of(r) for r in request.responses])]

    def fingerprint(self) -> str:
        return self.model.sha256

    def facts(self) -> dict[str, Any]:
        revision = self.model.sha256[:12]
        return {"engine": "numpy", "dtype": "float32", "revision": revision, "activation": "none"}
