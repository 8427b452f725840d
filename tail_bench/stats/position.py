"""Does the place in which a response is shown sway the grader? (docs/statistics.md, 7)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tail_bench.stats.figures import SHARE, Figure, Intervals, clustered_mean


@dataclass(frozen=True, slots=True)
class Position:
    """`consistency`: share of pairs judged alike in both orders. `first_rate`: how often the first shown wins, 0.5 is
    fair."""

    consistency: Figure
    first_rate: Figure


def position(ladders: Sequence[str], first: Sequence[tuple[float, float]], how: Intervals) -> Position:
    """Both figures from pairs that were shown in both orders.

    ladders: each pair's ladder. first: how the first shown fared in one order and in the other: 1 it won, 0.5 a tie,
    0 it lost, NaN unscored.
    """
    # Judged alike: one response won in both orders, so the first shown won once and lost once; or two ties.
    alike = [math.nan if math.isnan(x + y) else float(x + y == 1.0) for x, y in first]
    each = [outcome for pair in first for outcome in pair]
    return Position(
        clustered_mean(ladders, alike, SHARE, how, "no pair was scored in both orders"),
        clustered_mean([i for i in ladders for _ in (0, 1)], each, SHARE, how, "no pair was scored"),
    )
