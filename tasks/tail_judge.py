"""`inspect eval tasks/tail_judge.py --model M`: tail_bench/tail_judge from a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai import Task, task

import tail_bench.tasks
from tail_bench.graders.judge import JudgeMode
from tail_bench.graders.messages import Thinking


# Inspect finds tasks by reading a file for @task, so a re-export would not be found.
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

    Parameters: tail_bench/tasks.py.
    """
    return tail_bench.tasks.tail_judge(
        dataset, mode, prompt, reasoning, votes, split, tail, min_margin, seed, thinking, injection, **unknown
    )
