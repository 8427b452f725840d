"""The null graders: what a grader that knows nothing of quality scores is the floor of every comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from tail_bench.errors import prerequisite_error
from tail_bench.graders.messages import text_of
from tail_bench.graders.questions import QUESTION
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest, stable_unit

NullGrader = Callable[[str, int, str], float]
"""(prompt, place of the response as shown, response) -> reward"""

NULL_GRADERS: dict[str, NullGrader] = {
    "constant": lambda prompt, place, text: 0.0,
    "random": lambda prompt, place, text: stable_unit(prompt, text),
    "longest": lambda prompt, place, text: float(len(text)),
    "shortest": lambda prompt, place, text: -float(len(text)),
    "first": lambda prompt, place, text: -float(place),
}

RATE: dict[str, Callable[[str, str], float]] = {
    "constant": lambda prompt, text: 0.5,
    "random": stable_unit,
    "longest": lambda prompt, text: len(text) / (len(text) + 1000),
    "shortest": lambda prompt, text: 1000 / (len(text) + 1000),
}
"""(prompt, response) -> rating in 0 to 1, of those that can rate a response by itself."""

CHECK: dict[str, Callable[[str, str], bool]] = {
    "constant": lambda criterion, text: True,
    "random": lambda criterion, text: stable_unit(criterion, text) < 0.5,
}
"""(criterion, response) -> met, of those that can answer anything."""


class Builtin(RewardModelAPI):
    """`builtin/NAME`: constant, random (seeded by content), longest and shortest (characters), first (as shown).

    As a judge it answers with a verdict: of two equal ones the first, so that a constant judge always says A.
    """

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
                f"builtin/{model_name}: there is builtin/reference, a reward model, and the null graders"
                f" {', '.join(f'builtin/{n}' for n in NULL_GRADERS)}"
            )
        if model_args:
            raise prerequisite_error(f"builtin/{model_name} takes no -M arguments, got {', '.join(sorted(model_args))}")
        self.grade = NULL_GRADERS[model_name]

    def require(self, mode: str) -> None:
        """PrerequisiteError where this grader has nothing to go by in a preset of that mode."""
        able = RATE if mode == "pointwise" else CHECK if mode.startswith("verify") else NULL_GRADERS
        if self.model_name not in able:
            what = "one response is rated by itself" if mode == "pointwise" else "a criterion is checked"
            raise prerequisite_error(
                f"builtin/{self.model_name} has nothing to go by where {what}; there is"
                f" {', '.join(f'builtin/{n}' for n in able)}"
            )

    async def score(self, request: ScoreRequest) -> list[Reward]:
        asked = "\0".join(m.text for m in request.prompt)
        return [Reward(self.grade(asked, place, text_of(r))) for place, r in enumerate(request.responses)]

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        question = (input[-1].metadata or {}).get(QUESTION)
        if question is None:
            return await super().generate(input, tools, tool_choice, config)
        choice = self._answer(question["mode"], question["texts"], question["labels"])
        return ModelOutput(model=self.model_name, choices=[choice], usage=ModelUsage())

    def _answer(self, mode: str, texts: Mapping[str, Any], labels: Mapping[str, float]) -> ChatCompletionChoice:
        prompt = texts["prompt"]
        if mode == "pairwise":
            a, b = (self.grade(prompt, place, texts[name]) for place, name in enumerate(("response_a", "response_b")))
            by_worth = sorted(labels, key=lambda label: labels[label])
            return _said(by_worth[-1] if a >= b else by_worth[0])
        if mode == "listwise":
            scores = [self.grade(prompt, place, text) for place, text in enumerate(texts["responses"])]
            best_first = sorted(range(len(scores)), key=lambda i: -scores[i])  # stable: of equal ones the first shown
            return _said(" > ".join(str(i + 1) for i in best_first))
        if mode == "pointwise":
            return _rated(RATE[self.model_name](prompt, texts["response"]), labels)
        check = CHECK[self.model_name]
        if mode == "verify-each":
            return _said("yes" if check(texts["criterion"], texts["response"]) else "no")
        lines = str(texts["criteria"]).splitlines()
        said = ", ".join(
            f'"{n}": "{"yes" if check(line, texts["response"]) else "no"}"' for n, line in enumerate(lines, 1)
        )
        return ChatCompletionChoice(message=ChatMessageAssistant(content=f"{{{said}}}"), stop_reason="stop")

    def fingerprint(self) -> str:
        return "1"


FORMS = ("[RESULT] ", "\n<answer>[[", "]]</answer>")
"""What stands before, between and after a verdict that is given twice, so that every preset of ours reads it."""


def _said(verdict: str, logprobs: Logprobs | None = None) -> ChatCompletionChoice:
    message = ChatMessageAssistant(content=f"{FORMS[0]}{verdict}{FORMS[1]}{verdict}{FORMS[2]}")
    return ChatCompletionChoice(message=message, stop_reason="stop", logprobs=logprobs)


def _rated(unit: float, labels: Mapping[str, float]) -> ChatCompletionChoice:
    """A rating between two neighbouring labels, said by their probabilities: whole numbers alone would tie."""
    by_worth = sorted(labels, key=lambda label: labels[label])
    low = min(int(unit * (len(by_worth) - 1)), len(by_worth) - 2)
    share = unit * (len(by_worth) - 1) - low
    # Every label is a rival, so that none of them could be the beginning of another.
    odds = dict.fromkeys(by_worth, 1e-30) | {by_worth[low]: max(1 - share, 1e-30), by_worth[low + 1]: max(share, 1e-30)}
    likely = max(odds, key=lambda label: odds[label])
    rivals = [TopLogprob(token=label, logprob=math.log(p)) for label, p in odds.items()]
    verdict = Logprob(token=likely, logprob=math.log(odds[likely]), top_logprobs=rivals)
    before, between, after = (Logprob(token=form, logprob=0.0) for form in FORMS)
    return _said(likely, Logprobs(content=[before, verdict, between, verdict, after]))
