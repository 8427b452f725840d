"""How far a run is: a bar where somebody watches, a line now and then where not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

EVERY = 30.0
"""Seconds between two lines where stderr is no terminal."""

Advance = Callable[[int, int], None]
"""Says that a ladder is done: how many responses it has, and how many of them are unscored."""


@contextmanager
def progress(total: int, done: int) -> Iterator[Advance]:
    """Show on stderr how many of `total` ladders are done, of which `done` were before this run."""
    count = _Count(total, done)
    if not sys.stderr.isatty():
        shown = time.monotonic()

        def tell(responses: int, unscored: int) -> None:
            nonlocal shown
            count.add(responses, unscored)
            if time.monotonic() - shown >= EVERY:
                shown = time.monotonic()
                print(f"{count.ladders:,} of {total:,} ladders, {count}", file=sys.stderr, flush=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("ladders, {task.fields[rate]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=done, rate="starting")

        def move(responses: int, unscored: int) -> None:
            count.add(responses, unscored)
            bar.update(task, completed=count.ladders, rate=str(count))

        yield move


class _Count:
    """What this run has done, and how fast."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.before, self.ladders = total, done, done
        self.responses = self.unscored = 0
        self.start = time.monotonic()

    def add(self, responses: int, unscored: int) -> None:
        self.ladders += 1
        self.responses += responses
        self.unscored += unscored

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self.start, 1e-9)
        left = seconds / max(self.ladders - self.before, 1) * (self.total - self.ladders)
        unscored = f", {self.unscored:,} unscored" if self.unscored else ""
        return f"{self.responses / seconds:,.0f} responses/s, {timedelta(seconds=round(left))} left{unscored}"
