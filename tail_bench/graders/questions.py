"""What a judge and a verifier have in common: a ladder as they see it, questions about it, and answers to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, Model
from inspect_ai.solver import TaskState
from inspect_ai.util import collect

from tail_bench.errors import InputError, prerequisite_error
from tail_bench.graders.asking import Asker
from tail_bench.graders.messages import Thinking, candidate, shown_order, text_of
from tail_bench.graders.presets import Preset
from tail_bench.graders.verdicts import (
    UNREAD,
    Reading,
    Reply,
    last_verdict,
    read_criteria,
    read_label,
    read_ranking,
)
from tail_bench.judgments import Answer
from tail_bench.ladders.schema import Response
from tail_bench.prices import price_of

EXCERPT = 300
"""Characters of a reply that could not be read that are kept (all of it is in the log's model events)."""

QUESTION = "question"
"""Metadata key, on a question's last message, of what is asked: only for builtin graders, which read no prompts."""


@dataclass(frozen=True, slots=True)
class Case:
    """A ladder as a judge sees it: the prompt, and the responses in their seeded order by id; and those it cannot be
    shown, with why."""

    ladder: str
    prompt: str
    shown: Mapping[str, str]
    unusable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the texts that fill the preset's placeholders, and what it is about (as in Answer).

    n: how many values an answer has (ranks or criteria; otherwise one).
    """

    about: tuple[str, ...]
    texts: Mapping[str, str | Sequence[str]]
    criterion: int | None = None
    n: int = 1


def case_of(
    ladder: str, prompt: Sequence[ChatMessage], responses: Sequence[Response], seed: int, thinking: Thinking
) -> Case:
    """The ladder as a judge sees it."""
    shown: dict[str, str] = {}
    unusable: dict[str, str] = {}
    for response in shown_order(ladder, responses, seed):
        try:
            shown[response.id] = text_of(candidate(response, thinking))
        except ValueError as error:
            unusable[response.id] = str(error)
    return Case(ladder, prompt_text(prompt), shown, unusable)


def case_in(state: TaskState, seed: int, thinking: Thinking) -> Case:
    """The ladder of a sample as a judge sees it."""
    ladder = state.metadata["ladder"]
    responses = [Response.model_validate(r) for r in ladder["responses"]]
    return case_of(ladder["id"], state.messages, responses, seed, thinking)


def prompt_text(messages: Sequence[ChatMessage]) -> str:
    """The prompt as one text: a single user message as it is, else each message under its role."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return "\n\n".join(f"[{m.role}]\n{text_of(m)}" for m in messages)


def messages_of(question: Question, preset: Preset, described: bool = False) -> list[ChatMessage]:
    """A question as messages. `described`: with what is asked as metadata, for a builtin grader."""
    system, user = preset.render(question.texts)
    what = {"mode": preset.mode, "texts": dict(question.texts), "labels": preset.written}
    message = ChatMessageUser(content=user, metadata={QUESTION: what} if described else None)
    return [ChatMessageSystem(content=system), message] if system else [message]


async def answers_to(
    questions: Sequence[Question], preset: Preset, asker: Asker, ladder: str
) -> tuple[list[Answer], int]:
    """The answers to a ladder's questions, in their order, and how many calls they took.

    Questions with the same text are asked once.
    """
    from tail_bench.providers.builtin import Builtin

    described = isinstance(asker.model.api, Builtin)
    asked = [messages_of(q, preset, described) for q in questions]
    keys = [tuple(m.text for m in messages) for messages in asked]
    first: dict[tuple[str, ...], int] = {}
    for number, key in enumerate(keys):
        first.setdefault(key, number)
    found = await collect(*(asker.ask(asked[number], ladder) for number in first.values()))
    by_key = dict(zip(first, found, strict=True))
    answers = [answer_of(q, preset, by_key[key].replies) for q, key in zip(questions, keys, strict=True)]
    return answers, sum(own.calls for own in found)


def answer_of(question: Question, preset: Preset, replies: Sequence[Reply]) -> Answer:
    """What a question's replies say."""
    readings = [_read(question, preset, reply) for reply in replies]
    read = [r for r in readings if r.values is not None]
    sources = {"logprobs" if r.by_logprobs else "votes" for r in read}
    unread = next((reply for reply, r in zip(replies, readings, strict=True) if r.values is None), None)
    return Answer(
        about=question.about,
        criterion=question.criterion,
        votes=tuple(r.values for r in readings),
        masses=tuple(r.mass for r in readings),
        p_source=None if not sources else "mixed" if len(sources) > 1 else sources.pop(),  # type: ignore[arg-type]
        failed=all(reply.error is not None for reply in replies),
        why=None if unread is None else _why(unread, preset),
        unread=None if unread is None or not unread.text.strip() else _shortened(unread.text.strip()),
    )


def _read(question: Question, preset: Preset, reply: Reply) -> Reading:
    if reply.error is not None:
        return UNREAD
    if preset.mode == "listwise":
        return read_ranking(reply, preset, question.n)
    if preset.mode == "verify-together":
        return read_criteria(reply, question.n)
    return read_label(reply, preset)


def _why(reply: Reply, preset: Preset) -> str:
    if reply.error is not None:
        return reply.error
    if preset.labels and (found := last_verdict(reply.text, preset, reply.cut_off)) is not None:
        return f"the verdict {found.label[:20]!r} is none of the preset's labels"
    end = ", which was cut off (a larger --max-tokens?)" if reply.cut_off else ""
    return f"no verdict in the reply{end}" if reply.text.strip() else f"an empty reply{end}"


def _shortened(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[: EXCERPT // 2]} ... {text[-EXCERPT // 2 :]}"


def first_value(answer: Answer) -> float | None:
    """The mean of the votes that say something, None where none does."""
    said = [vote[0] for vote in answer.votes if vote is not None and vote[0] is not None]
    return fmean(said) if said else None


@dataclass
class Askers:
    """An asker for each model that a solver is run with."""

    preset: Preset
    votes: int
    logprobs: bool
    _made: dict[int, Asker] = field(default_factory=dict)

    def of(self, model: Model) -> Asker:
        """The model's asker."""
        preset = self.preset
        new = Asker(model, self.votes, self.logprobs, preset.max_tokens, preset.temperature)
        return self._made.setdefault(id(model.api), new)


def require_judge(model: Model, task: str, mode: str) -> None:
    """PrerequisiteError where the model writes no text: a reward model, or one that the price list knows as no chat
    model."""
    from tail_bench.providers.builtin import Builtin
    from tail_bench.providers.reward_model import RewardModelAPI

    if isinstance(model.api, Builtin):
        return model.api.require(mode)
    if isinstance(model.api, RewardModelAPI):
        raise prerequisite_error(
            f"{task} needs a language model, and {model} is a reward model: use it with tail_reward."
        )
    try:
        require_chat(str(model), task)
    except InputError as error:
        raise prerequisite_error(error) from error


def require_chat(model: str, task: str) -> None:
    """InputError where the price list knows the model as no chat model."""
    listed = price_of(model)
    if listed is not None and listed.mode not in (None, "chat", "responses"):
        raise InputError(f"{task} needs a chat model, and {model} is for {listed.mode}")
