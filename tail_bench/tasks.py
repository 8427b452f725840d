"""The Inspect tasks."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model._model import active_model

from tail_bench.errors import InputError, prerequisite_error
from tail_bench.graders.messages import THINKING, Thinking, prompt_messages
from tail_bench.graders.reward import require_reward_model, reward
from tail_bench.scorer import ladder_scorer

LAUNCH_FOLDER = Path.cwd()
"""Where Inspect was started, if our entry point was loaded before it went to the task file's folder."""


@task
def tail_reward(
    dataset: str = "ladders",
    split: str | None = None,
    tail: str | Sequence[str] | None = None,
    min_margin: float = 0.0,
    seed: int = 0,
    thinking: Thinking = "keep",
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
        unknown: any other name is an error.
    """
    refuse_unknown(tail_reward, unknown)
    if thinking not in THINKING:
        raise prerequisite_error(f"-T thinking={thinking}: must be one of {', '.join(THINKING)}")
    whole_number("seed", seed)
    model = active_model()
    if model is not None:
        require_reward_model(model)
    return _task(dataset, split, tail, min_margin, reward(seed, thinking), "reward")


def refuse_unknown(function: Callable[..., Any], unknown: Mapping[str, Any]) -> None:
    """PrerequisiteError where a task was given names it does not have: Inspect itself would only warn."""
    if unknown:
        names = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
        raise prerequisite_error(
            f"no such -T parameter: {', '.join(sorted(unknown))}; {function.__name__} has {', '.join(names)}"
        )


def whole_number(name: str, value: object) -> None:
    """PrerequisiteError where a -T value is not a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise prerequisite_error(f"-T {name}={value}: must be a whole number")


def find_data(dataset: str) -> str:
    """The data set, a relative path taken from where the user is: Inspect runs a task file in the file's own folder."""
    here = Path.cwd()
    if not (here / "tail_reward.py").is_file():  # no task file's folder: the user is here
        return dataset
    for folder in (LAUNCH_FOLDER, Path(os.environ.get("PWD", here))):
        if folder != here and (folder / dataset).is_file():
            return str(folder / dataset)
    return dataset


def _task(
    dataset: str,
    split: str | None,
    tail: str | Sequence[str] | None,
    min_margin: float,
    solver: Any,
    kind: str,
) -> Task:
    """A task over a data set's ladders, one sample each, judged by the solver."""
    from tail_bench import __version__
    from tail_bench.judgments import truths_of
    from tail_bench.ladders.load import load_dataset
    from tail_bench.pairing import resolve_tail
    from tail_bench.records import DatasetRecord, TaskRecord

    try:
        data = load_dataset(find_data(str(dataset)), None if split is None else str(split))
        truths = truths_of(data.ladders)
        spec = str(resolve_tail(truths, tail, min_margin))
    except InputError as error:
        raise prerequisite_error(error) from error
    samples = [
        Sample(
            id=ladder.id,
            input=prompt_messages(ladder),
            metadata={
                "ladder": ladder.model_dump(exclude={"prompt", "checks"}, exclude_none=True),
                "gold_ranks": truth.ranks.tolist(),
                "tail": spec,
                "min_margin": float(min_margin),
            },
        )
        for ladder, truth in zip(data.ladders, truths, strict=True)
    ]
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
    )
    return Task(
        dataset=MemoryDataset(samples, name=data.name, location=dataset),
        solver=solver,
        scorer=ladder_scorer(),
        metadata={"tail_bench": about.model_dump()},
        version=1,
    )
