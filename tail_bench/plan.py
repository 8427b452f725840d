"""What a run of a judge or a verifier is going to ask and cost, before anything is paid."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tail_bench.errors import InputError
from tail_bench.graders.presets import Preset
from tail_bench.graders.questions import Question, messages_of, require_chat
from tail_bench.prices import elsewhere, litellm_folder, price_of
from tail_bench.tasks import asking_of

REWARDS = ("rm", "rm-dpo", "rm-server", "rm-python")
"""Providers whose models give rewards only."""

COUNTED = 300
"""How many questions are tokenised; the others' tokens follow from their characters."""

THINKING_TOKENS = 500
"""Assumed for a reply that reasons before its verdict; models with thinking of their own add that."""

AROUND = 8
"""Tokens that a chat form puts around a question's messages."""


class Plan(BaseModel):
    """Calls, tokens and dollars of a run.

    Input tokens are counted with OpenAI's cl100k vocabulary (other models' differ by some 10 to 20 %), output tokens
    are assumed; usd is null without a listed price. calls, tokens and usd are those of a server that gives one reply
    a call; calls_at_least of one that gives all votes at once. too_long: ladders with a question beyond the listed
    context.
    """

    task: str
    model: str
    ladders: int
    questions: int
    votes: int
    calls: int
    calls_at_least: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    longest_question: int
    context: int | None
    too_long: list[str]


def plan(task: str, model: str, given: Mapping[str, Any], limit: int | None = None) -> Plan:
    """The plan of `inspect eval tail_bench/TASK --model MODEL -T ...`; InputError as the task itself would raise.

    limit: only the first ladders, as Inspect's --limit.
    """
    asking = asking_of(task, given)
    if model.partition("/")[0] in REWARDS:
        raise InputError(f"{model} gives rewards and writes no text: it is for tail_reward, which has nothing to plan")
    require_chat(model, task)
    ladders = asking.data.ladders[:limit]
    listed = None if elsewhere(model) else price_of(model)
    context = listed.context if listed else None
    about: list[tuple[str, Question]] = []
    texts: list[str] = []
    for ladder in ladders:  # questions with the same text are asked once
        own = {"\n".join(m.text for m in messages_of(q, asking.preset)): q for q in asking.questions(ladder)}
        about += [(ladder.id, question) for question in own.values()]
        texts += own
    per_character = _tokens_per_character(texts)
    sizes = [round(len(text) * per_character) + AROUND for text in texts]
    calls = len(about) * asking.votes
    inputs = sum(sizes) * asking.votes
    outputs = sum(_answer_tokens(question, asking.preset) for _, question in about) * asking.votes
    priced = listed is not None and listed.input is not None and listed.output is not None
    return Plan(
        task=task,
        model=model,
        ladders=len(ladders),
        questions=len(about),
        votes=asking.votes,
        calls=calls,
        calls_at_least=len(about),
        input_tokens=inputs,
        output_tokens=outputs,
        usd=round(inputs * listed.input + outputs * listed.output, 6) if priced else None,  # type: ignore[union-attr, operator]
        longest_question=max(sizes, default=0),
        context=context,
        too_long=sorted({i for (i, _), size in zip(about, sizes, strict=True) if context and size > context}),
    )


def _answer_tokens(question: Question, preset: Preset) -> int:
    short = {"listwise": 4 * question.n, "verify-together": 8 * question.n}.get(preset.mode, 2)
    return short + (THINKING_TOKENS if preset.reasoning else 0)


def _tokens_per_character(texts: list[str]) -> float:
    import tiktoken

    # litellm ships the vocabulary, which tiktoken would otherwise fetch.
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(litellm_folder() / "litellm_core_utils" / "tokenizers"))
    counted = texts[:: max(1, len(texts) // COUNTED)]
    characters = sum(map(len, counted))
    tokens = sum(len(t) for t in tiktoken.get_encoding("cl100k_base").encode_ordinary_batch(counted, num_threads=2))
    return tokens / characters if characters else 0.0
