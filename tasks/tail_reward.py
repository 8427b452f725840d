"""`inspect eval tasks/tail_reward.py --model M`: tail_bench/tail_reward from a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai import Task, task

import tail_bench.tasks
from tail_bench.graders.messages import Thinking


# Inspect finds tasks by reading a file for @task, so a re-export would not be found.
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
    """Does a reward model tell excellent responses from merely great ones? Parameters: tail_bench/tasks.py."""
    return tail_bench.tasks.tail_reward(
        dataset, split, tail, min_margin, seed, thinking, truncate, injection, **unknown
    )
