"""The reward grader: one call a ladder, the prompt and all K responses in, K rewards out."""

from __future__ import annotations

from inspect_ai.model import ChatMessageAssistant, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from tail_bench.errors import prerequisite_error
from tail_bench.graders.asking import cache_policy
from tail_bench.graders.messages import Thinking, candidate, shown_order
from tail_bench.ladders.schema import Response
from tail_bench.providers.reward_model import Reward, RewardModelAPI, rewards_of
from tail_bench.records import JUDGMENT, JudgmentRecord


def require_reward_model(model: Model) -> RewardModelAPI:
    """The model's provider; a PrerequisiteError where it gives no rewards."""
    if isinstance(model.api, RewardModelAPI):
        return model.api
    raise prerequisite_error(
        f"tail_reward needs a reward model, and {model} gives no rewards. Give --model rm-python/MODULE:CALLABLE"
        " for a reward of your own, or a null grader (builtin/longest, builtin/random, ...). A language model is tested"
        " as a judge with tail_judge, or as a rubric's verifier with tail_rubric."
    )


@solver
def reward(seed: int = 0, thinking: Thinking = "keep") -> Solver:
    """Score a ladder's responses with a reward model and keep the judgment.

    Args:
        seed: of the order in which a ladder's responses are shown.
        thinking: whether reasoning in a response is kept or stripped.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        api = require_reward_model(model)
        ladder = state.metadata["ladder"]
        responses = [Response.model_validate(r) for r in ladder["responses"]]
        shown: list[tuple[Response, ChatMessageAssistant]] = []
        rewards: dict[str, Reward] = {}
        for response in shown_order(ladder["id"], responses, seed):
            try:
                shown.append((response, candidate(response, thinking)))
            except ValueError as error:
                rewards[response.id] = Reward(None, str(error))
        if shown:
            output = await model.generate(
                [*state.messages, *(message for _, message in shown)],
                cache=cache_policy(model, {"grader": api.fingerprint()}),
            )
            state.output = output
            for (response, _), own in zip(shown, rewards_of(output, len(shown)), strict=True):
                rewards[response.id] = own
        state.metadata[JUDGMENT] = JudgmentRecord(
            scores={r.id: rewards[r.id].value for r in responses},
            reasons={i: own.reason or "no reward" for i, own in rewards.items() if own.value is None},
            calls=int(bool(shown)),
            alone=next((own.alone for own in rewards.values() if own.alone), None),
        ).model_dump()
        return state

    return solve
