"""The judge: a language model that compares, rates or ranks a ladder's responses, and a judgment from its answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean
from typing import Literal

from inspect_ai.model import get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from tail_bench.graders.messages import Thinking
from tail_bench.graders.presets import Preset
from tail_bench.graders.questions import Askers, Case, Question, answers_to, case_in, first_value
from tail_bench.judgments import Answer
from tail_bench.records import JUDGMENT, JudgmentRecord

JudgeMode = Literal["pairwise", "pointwise", "listwise"]
JUDGE_MODES: tuple[JudgeMode, ...] = ("pairwise", "pointwise", "listwise")


def questions_of(case: Case, preset: Preset, seed: int) -> list[Question]:
    """All questions about a ladder: every two responses in both orders, each response, or all in an order and its
    reverse."""
    ids = list(case.shown)
    prompt = {"prompt": case.prompt}
    if preset.mode == "pairwise":
        return [
            Question((a, b), {**prompt, "response_a": case.shown[a], "response_b": case.shown[b]})
            for first, second in combinations(ids, 2)
            for a, b in ((first, second), (second, first))
        ]
    if preset.mode == "pointwise":
        return [Question((i,), {**prompt, "response": case.shown[i]}) for i in ids]
    if len(ids) < 2:
        return []
    order = random.Random(f"{seed}\0{case.ladder}").sample(ids, len(ids))
    # Both ways round, so that a liking for a place cancels out to first order.
    return [
        Question(tuple(o), {**prompt, "responses": [case.shown[i] for i in o]}, n=len(o)) for o in (order, order[::-1])
    ]


def judgment_of(case: Case, preset: Preset, answers: Sequence[Answer]) -> JudgmentRecord:
    """The judgment that the answers amount to: preferences from pairs, scores from ratings and from mean ranks."""
    reasons = dict(case.unusable)
    ids = [*case.shown, *case.unusable]
    if preset.mode == "pairwise":
        preferences = []
        for answer in answers:
            a, b = answer.about
            p = first_value(answer)
            preferences.append((a, b, p))
            if p is None:
                reasons[f"{a} over {b}"] = answer.why or "no verdict"
        for first, second in combinations(ids, 2):
            if first in case.unusable or second in case.unusable:
                preferences.append((first, second, None))
                reasons[f"{first} over {second}"] = case.unusable.get(first) or case.unusable[second]
        return JudgmentRecord(preferences=preferences, reasons=reasons, answers=list(answers))
    scores: dict[str, float | None] = dict.fromkeys(ids)
    if preset.mode == "pointwise":
        for answer in answers:
            scores[answer.about[0]] = first_value(answer)
            if scores[answer.about[0]] is None:
                reasons[answer.about[0]] = answer.why or "no score"
    else:
        for response in case.shown:
            ranks = [_mean_rank(answer, response) for answer in answers]
            known = [r for r in ranks if r is not None]
            if known and len(known) == len(ranks):
                scores[response] = -fmean(known)
            else:
                lacking = next(a for a, rank in zip(answers, ranks, strict=True) if rank is None)
                reasons[response] = lacking.why or "left out of a ranking"
    return JudgmentRecord(scores=scores, reasons=reasons, answers=list(answers))


def _mean_rank(answer: Answer, response: str) -> float | None:
    place = answer.about.index(response)
    ranks = [vote[place] for vote in answer.votes if vote is not None]
    return fmean(r for r in ranks if r is not None) if ranks and None not in ranks else None


@solver
def judge(preset: Preset, votes: int = 1, seed: int = 0, thinking: Thinking = "keep") -> Solver:
    """Ask a language model about a ladder's responses, as the preset says, and keep the judgment.

    Args:
        preset: pairwise, pointwise or listwise.
        votes: replies to each question.
        seed: of the order in which responses are shown.
        thinking: whether reasoning in a response is kept or stripped.
    """
    askers = Askers(preset, votes, logprobs=preset.mode != "listwise")

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        case = case_in(state, seed, thinking)
        questions = questions_of(case, preset, seed)
        answers, calls = await answers_to(questions, preset, askers.of(get_model()), case.ladder)
        state.metadata[JUDGMENT] = judgment_of(case, preset, answers).model_dump() | {"calls": calls}
        return state

    return solve
