"""`inspect eval tasks/tail_rubric.py --model M`: tail_bench/tail_rubric from a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai import Task, task

import tail_bench.tasks
from tail_bench.graders.messages import Thinking
from tail_bench.graders.rubric import Missing


# Inspect finds tasks by reading a file for @task, so a re-export would not be found.
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

    Parameters: tail_bench/tasks.py.
    """
    return tail_bench.tasks.tail_rubric(
        dataset,
        rubric,
        verify,
        prompt,
        votes,
        soft,
        missing,
        split,
        tail,
        min_margin,
        seed,
        thinking,
        injection,
        **unknown,
    )
