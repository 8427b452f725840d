"""The reward grader: one call a ladder, the prompt and all K responses in, K rewards out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai.model import ChatMessageAssistant, Model, ModelOutput, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from tail_bench.errors import prerequisite_error
from tail_bench.graders.asking import cache_policy
from tail_bench.graders.messages import CANDIDATE, Thinking, candidate, shown_order
from tail_bench.ladders.schema import Response
from tail_bench.providers.reward_model import FACTS, Reward, RewardModelAPI, rewards_of
from tail_bench.records import JUDGMENT, JudgmentRecord


def require_reward_model(model: Model) -> RewardModelAPI:
    """The model's provider; a PrerequisiteError where it gives no rewards."""
    if isinstance(model.api, RewardModelAPI):
        return model.api
    raise prerequisite_error(
        f"tail_reward needs a reward model, and {model} gives no rewards. Give --model rm/HUB_ID_OR_FOLDER for a"
        " transformers reward model, rm-server/MODEL for a served one, rm-python/MODULE:CALLABLE for a function of your"
        " own, or builtin/reference. A language model is tested as a judge with tail_judge, or as a rubric's verifier"
        " with tail_rubric."
    )


def shown_to(
    ladder: str, responses: Sequence[Response], seed: int, thinking: Thinking
) -> tuple[list[tuple[str, ChatMessageAssistant]], dict[str, Reward]]:
    """What a reward model is shown of a ladder: (response id, message) in order, and those of which nothing is left."""
    shown: list[tuple[str, ChatMessageAssistant]] = []
    lost: dict[str, Reward] = {}
    for response in shown_order(ladder, responses, seed):
        try:
            shown.append((response.id, candidate(response, thinking)))
        except ValueError as error:
            lost[response.id] = Reward(None, str(error))
    return shown, lost


def said(responses: Sequence[str], rewards: Mapping[str, Reward]) -> dict[str, Any]:
    """What a judgment says of a ladder's responses (their ids): scores, reasons, alone, truncated."""
    return {
        "scores": {r: rewards[r].value for r in responses},
        "reasons": {r: rewards[r].reason or "no reward" for r in responses if rewards[r].value is None},
        "alone": next((own.alone for own in rewards.values() if own.alone), None),
        "truncated": [r for r in responses if rewards[r].truncated],
    }


@solver
def reward(seed: int = 0, thinking: Thinking = "keep", truncate: bool = False) -> Solver:
    """Score a ladder's responses with a reward model and keep the judgment.

    Args:
        seed: of the order in which a ladder's responses are shown.
        thinking: whether reasoning in a response is kept or stripped.
        truncate: whether a response that is too long for the model is cut, and not unscored.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        api = require_reward_model(model)
        ladder = state.metadata["ladder"]
        responses = [Response.model_validate(r) for r in ladder["responses"]]
        shown, rewards = shown_to(ladder["id"], responses, seed, thinking)

        async def scored(how: Mapping[str, bool], order: int = 1) -> tuple[ModelOutput, dict[str, Reward]]:
            own = shown[::order]
            marked = [m.model_copy(update={"metadata": {**CANDIDATE, **how}}) for _, m in own]
            cache = cache_policy(model, lambda: {"grader": api.fingerprint()})
            output = await model.generate([*state.messages, *marked], cache=cache)
            found = zip(own, rewards_of(output, len(own)), strict=True)
            return output, {response: reward for (response, _), reward in found}

        again: dict[str, Reward] = {}
        if shown:
            how = {"truncate": True} if truncate else {}
            state.output, own = await scored(how)
            rewards |= own
            if api.repeats and state.metadata.get("repeated"):
                _, again = await scored({**how, "again": True}, order=-1)
        state.metadata[JUDGMENT] = JudgmentRecord(
            **said([r.id for r in responses], rewards),
            calls=int(bool(shown)) + int(bool(again)),
            again={i: own.value for i, own in again.items()},
            facts=(state.output.metadata or {}).get(FACTS, {}) if shown else {},
        ).model_dump()
        return state

    return solve
