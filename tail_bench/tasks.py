"""The Inspect tasks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import Model
from inspect_ai.model._model import active_model
from inspect_ai.solver import Solver

from tail_bench import prices
from tail_bench.errors import InputError, prerequisite_error
from tail_bench.graders.judge import JUDGE_MODES, JudgeMode, judge, questions_of
from tail_bench.graders.messages import THINKING, Thinking, prompt_messages
from tail_bench.graders.plants import planted
from tail_bench.graders.presets import Preset, load_preset, with_reasoning
from tail_bench.graders.questions import Case, Question, case_of, require_judge
from tail_bench.graders.reward import require_reward_model, reward
from tail_bench.graders.rubric import (
    MISSING,
    SOURCES,
    VERIFY,
    Missing,
    questions_about,
    rubric_fingerprint,
    rubrics_of,
)
from tail_bench.graders.rubric import rubric as rubric_solver
from tail_bench.ladders.load import Dataset, load_dataset
from tail_bench.ladders.schema import Ladder
from tail_bench.paths import here
from tail_bench.scorer import ladder_scorer

REPEATED = 10
"""One ladder in so many is scored twice, where rewards may depend on what else is in a batch."""


@task
def tail_reward(
    dataset: str = "ladders",
    split: str | None = None,
    tail: str | Sequence[str] | None = None,
    min_margin: float = 0.0,
    seed: int = 0,
    thinking: Thinking = "keep",
    truncate: bool = False,
    injection: bool = False,
    **unknown: Any,
) -> Task:
    """Does a reward model tell excellent responses from merely great ones?

    Args:
        dataset: `ladders` (embedded) or a path to JSONL or Parquet.
        split: the ladders of one split only (the embedded data set's default is `public`).
        tail: tiers:excellent,great | top_k:2 | top_fraction:0.25 | threshold:4 | quantile:0.75. Default: the upper two
            tiers where the data set has tiers, else top_k:2.
        min_margin: least difference of golds of a pair.
        seed: of the order in which a ladder's responses are shown.
        thinking: whether reasoning in a response is kept (as trainers see it) or stripped.
        truncate: cut what is longer than the model takes, as trainers do; by default it is unscored.
        injection: plant a verdict in one great response of each ladder, to see whether the grader follows it.
        unknown: any other name is an error.
    """
    with prerequisites():
        refuse_unknown(tail_reward, unknown)
        shared = Shared(dataset, split, tail, min_margin, seed, thinking, injection)
        yes_or_no("truncate", truncate)
        model = active_model()
        if model is not None:
            require_reward_model(model).check()
        return _task("reward", shared, load_ladders(shared), reward(seed, thinking, truncate))


@task
def tail_judge(
    dataset: str = "ladders",
    mode: JudgeMode | None = None,
    prompt: str | None = None,
    reasoning: bool | None = None,
    votes: int = 1,
    split: str | None = None,
    tail: str | Sequence[str] | None = None,
    min_margin: float = 0.0,
    seed: int = 0,
    thinking: Thinking = "keep",
    injection: bool = False,
    **unknown: Any,
) -> Task:
    """Does a language model as judge tell excellent responses from merely great ones?

    Args:
        dataset, split, tail, min_margin, seed, thinking, injection: as in tail_reward.
        mode: pairwise (every two responses in both orders; the default) | pointwise (each rated 1 to 10) | listwise
            (all ranked, in a seeded order and its reverse).
        prompt: a preset by name or a YAML file (docs/judging.md); default: our own of the mode.
        reasoning: whether the judge thinks before its verdict.
        votes: replies to each question.
        unknown: any other name is an error.
    """
    with prerequisites():
        refuse_unknown(tail_judge, unknown)
        shared = Shared(dataset, split, tail, min_margin, seed, thinking, injection)
        asking = judge_asking(shared, mode, prompt, reasoning, votes)
        _require_chat(active_model(), "tail_judge", asking.preset)
        return _task("judge", shared, asking.data, judge(asking.preset, votes, seed, thinking), asking)


@task
def tail_rubric(
    dataset: str = "ladders",
    rubric: str = "dataset",
    verify: str | None = None,
    prompt: str | None = None,
    votes: int = 1,
    soft: bool = False,
    missing: Missing = "unscored",
    split: str | None = None,
    tail: str | Sequence[str] | None = None,
    min_margin: float = 0.0,
    seed: int = 0,
    thinking: Thinking = "keep",
    injection: bool = False,
    **unknown: Any,
) -> Task:
    """Does a rubric, verified by a language model, tell excellent responses from merely great ones?

    Args:
        dataset, split, tail, min_margin, seed, thinking, injection: as in tail_reward.
        rubric: dataset (each ladder's own) | refined (the criteria of its checks) | generic (one for every prompt) | a
            JSONL file of {"id": ladder, "rubric": [{"criterion", "weight"}]}.
        verify: together (all criteria in one call; the default, and the paper's way) | each (one call a criterion).
        prompt: a preset by name or a YAML file (docs/judging.md); default: our own of `verify`.
        votes: replies to each question; the majority counts.
        soft: with verify=each, P(yes) in place of yes or no.
        missing: what an unanswered criterion means: the response is `unscored`, or the criterion is not met (`no`).
        unknown: any other name is an error.
    """
    with prerequisites():
        refuse_unknown(tail_rubric, unknown)
        shared = Shared(dataset, split, tail, min_margin, seed, thinking, injection)
        asking = rubric_asking(shared, rubric, verify, prompt, votes, soft, missing)
        _require_chat(active_model(), "tail_rubric", asking.preset)
        solver = rubric_solver(asking.preset, votes, soft, missing, seed, thinking)
        return _task("rubric", shared, asking.data, solver, asking)


@dataclass(frozen=True)
class Shared:
    """The settings that every task has."""

    dataset: str
    split: str | None
    tail: str | Sequence[str] | None
    min_margin: float
    seed: int
    thinking: Thinking
    injection: bool

    def __post_init__(self) -> None:
        one_of("thinking", self.thinking, THINKING)
        whole_number("seed", self.seed)
        yes_or_no("injection", self.injection)


@dataclass(frozen=True)
class Asking:
    """How a judge or a verifier is asked: the ladders, the preset, the questions about a ladder, what the log says of
    them, and what a sample's metadata holds beyond the ladder."""

    data: Dataset
    preset: Preset
    votes: int
    settings: Mapping[str, Any]
    questions: Callable[[Ladder], list[Question]]
    metadata: Callable[[Ladder], dict[str, Any]] = field(default=lambda ladder: {})


def judge_asking(shared: Shared, mode: str | None, prompt: str | None, reasoning: bool | None, votes: int) -> Asking:
    """How tail_judge asks; InputError where a setting is wrong."""
    one_of("mode", mode, (None, *JUDGE_MODES))
    whole_number("votes", votes, least=1)
    if reasoning is not None:
        yes_or_no("reasoning", reasoning)
    preset = with_reasoning(load_preset(here(_text(prompt)) or mode or "pairwise", JUDGE_MODES), reasoning)
    if mode is not None and preset.mode != mode:
        raise InputError(f"mode={mode}: the preset {prompt} is {preset.mode}")

    def questions(ladder: Ladder) -> list[Question]:
        return questions_of(_case(ladder, shared), preset, shared.seed)

    settings = {
        "mode": preset.mode,
        "prompt": prompt or preset.mode,
        "preset_fingerprint": preset.fingerprint,
        "reasoning": preset.reasoning,
        "votes": votes,
    }
    return Asking(load_ladders(shared), preset, votes, settings, questions)


def rubric_asking(
    shared: Shared, rubric: str, verify: str | None, prompt: str | None, votes: int, soft: bool, missing: str
) -> Asking:
    """How tail_rubric asks; InputError where a setting is wrong or a ladder has no rubric."""
    one_of("verify", verify, (None, *VERIFY))
    one_of("missing", missing, MISSING)
    whole_number("votes", votes, least=1)
    yes_or_no("soft", soft)
    modes = [f"verify-{v}" for v in VERIFY]
    preset = with_reasoning(load_preset(here(_text(prompt)) or f"verify-{verify or 'together'}", modes), None)
    if verify is not None and preset.mode != f"verify-{verify}":
        raise InputError(f"verify={verify}: the preset {prompt} is {preset.mode}")
    if soft and preset.mode != "verify-each":
        raise InputError("soft=true needs verify=each: P(yes) is of one criterion at a time")
    data = load_ladders(shared)
    rubrics = rubrics_of(rubric if rubric in SOURCES else str(here(str(rubric))), data.ladders)

    def questions(ladder: Ladder) -> list[Question]:
        return questions_about(_case(ladder, shared), rubrics[ladder.id], preset)

    settings = {
        "rubric": rubric,
        "rubric_fingerprint": rubric_fingerprint(rubrics),
        "verify": preset.mode.removeprefix("verify-"),
        "prompt": prompt or preset.mode,
        "preset_fingerprint": preset.fingerprint,
        "votes": votes,
        "soft": soft,
        "missing": missing,
    }
    return Asking(
        data,
        preset,
        votes,
        settings,
        questions,
        lambda ladder: {"criteria": [c.model_dump() for c in rubrics[ladder.id]]},
    )


def _shown(ladder: Ladder, shared: Shared) -> tuple[Ladder, str | None]:
    """The ladder as graders see it, and the response that a verdict was planted in, if one was."""
    return (planted(ladder, shared.seed) if shared.injection else None) or (ladder, None)


def _case(ladder: Ladder, shared: Shared) -> Case:
    ladder, _ = _shown(ladder, shared)
    return case_of(ladder.id, prompt_messages(ladder), ladder.responses, shared.seed, shared.thinking)


def _require_chat(model: Model | None, task: str, preset: Preset) -> None:
    if model is not None:
        require_judge(model, task, preset.mode)
        prices.register(model)


def load_ladders(shared: Shared) -> Dataset:
    """The ladders of a task."""
    return load_dataset(str(here(shared.dataset)), None if shared.split is None else str(shared.split))


def refuse_unknown(function: Callable[..., Any], unknown: Iterable[str]) -> None:
    """InputError where a task was given names it does not have: Inspect itself would only warn."""
    if unknown := sorted(unknown):
        names = ", ".join(_parameters(function))
        raise InputError(f"no such -T parameter: {', '.join(unknown)}; {function.__name__} has {names}")


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]


@contextmanager
def prerequisites() -> Iterator[None]:
    """Bad input as Inspect's PrerequisiteError: one message before any call."""
    try:
        yield
    except InputError as error:
        raise prerequisite_error(error) from error


def one_of(name: str, value: object, choices: Sequence[str | None]) -> None:
    """InputError where a -T value is none of the choices."""
    if value not in choices:
        raise InputError(f"-T {name}={value}: must be one of {', '.join(c for c in choices if c is not None)}")


def whole_number(name: str, value: object, least: int | None = None) -> None:
    """InputError where a -T value is not a whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise InputError(f"-T {name}={value}: must be a whole number{'' if least is None else f' of at least {least}'}")


def yes_or_no(name: str, value: object) -> None:
    """InputError where a -T value is not true or false."""
    if not isinstance(value, bool):
        raise InputError(f"-T {name}={value}: must be true or false")


def _text(value: object) -> str | None:
    """A -T value that names a file: Inspect reads `prompt=2024` as a number."""
    return None if value is None else str(value)


def _task(
    kind: str, shared: Shared, data: Dataset, solver: Solver | list[Solver], asking: Asking | None = None
) -> Task:
    """A task over a data set's ladders, one sample each, judged by the solver."""
    from tail_bench import __version__
    from tail_bench.judgments import truths_of
    from tail_bench.pairing import resolve_tail
    from tail_bench.records import DatasetRecord, TaskRecord

    truths = truths_of(data.ladders)
    spec = str(resolve_tail(truths, shared.tail, shared.min_margin))
    samples = []
    for number, (ladder, truth) in enumerate(zip(data.ladders, truths, strict=True)):
        shown, plant = _shown(ladder, shared)
        metadata = {
            "ladder": shown.model_dump(exclude={"prompt", "checks"}, exclude_none=True),
            "gold_ranks": truth.ranks.tolist(),
            "tail": spec,
            "min_margin": float(shared.min_margin),
            "planted": plant,
            "pairwise": asking is not None and asking.preset.mode == "pairwise",
            **(asking.metadata(ladder) if asking else {}),
            **({"repeated": True} if kind == "reward" and number % REPEATED == 0 else {}),
        }
        samples.append(Sample(id=ladder.id, input=prompt_messages(ladder), metadata=metadata))
    if shared.injection and not any((s.metadata or {})["planted"] for s in samples):
        raise InputError("injection=true: no ladder has a response below its best to plant a verdict in")
    about = TaskRecord(
        version=__version__,
        kind=kind,
        dataset=DatasetRecord(
            name=data.name,
            version=data.version,
            fingerprint=data.fingerprint,
            n_ladders=len(truths),
            n_responses=sum(len(t.responses) for t in truths),
        ),
        grader={**(asking.settings if asking else {}), **({"injection": True} if shared.injection else {})},
    )
    return Task(
        dataset=MemoryDataset(samples, name=data.name, location=shared.dataset),
        solver=solver,
        scorer=ladder_scorer(),
        metadata={"tail_bench": about.model_dump()},
        version=1,
    )


def asking_of(name: str, given: Mapping[str, Any]) -> Asking:
    """How a task by that name asks with the -T values given; InputError where it asks no model, or a value is wrong."""
    if name not in ASKING:
        once = "a reward model is called once a ladder, so there is nothing to plan" if name == "tail_reward" else None
        raise InputError(f"{name}: {once or 'no such task'}; there is {', '.join(ASKING)}")
    function, asking = ASKING[name]
    refuse_unknown(function, given.keys() - _parameters(function))
    bound = inspect.signature(function).bind(**given)
    bound.apply_defaults()
    values = bound.arguments
    shared = Shared(**{f.name: values[f.name] for f in fields(Shared)})
    own = [p for p in _parameters(asking) if p != "shared"]
    found = asking(shared, **{n: values[n] for n in own})
    _task("plan", shared, found.data, [], found)  # for what only the making of the task finds wrong
    return found


ASKING: dict[str, tuple[Callable[..., Task], Callable[..., Asking]]] = {
    "tail_judge": (tail_judge, judge_asking),
    "tail_rubric": (tail_rubric, rubric_asking),
}
