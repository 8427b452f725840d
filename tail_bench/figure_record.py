"""A figure as a report has it."""

from __future__ import annotations

import math

from pydantic import BaseModel

from tail_bench.stats.figures import Figure

DECIMALS = 6


class FigureRecord(BaseModel):
    """A figure as reported; null where unknown, then `reason` says why."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_ladders: int
    n_pairs: int
    method: str | None
    reason: str | None = None


def figure_record(figure: Figure) -> FigureRecord:
    """A figure as reported. Unlike pairs, what n_pairs counts may be responses, criteria or replies."""
    return FigureRecord(
        value=rounded(figure.value),
        ci_low=rounded(figure.ci_low),
        ci_high=rounded(figure.ci_high),
        n_ladders=figure.n_ladders,
        n_pairs=figure.n_pairs,
        method=None if figure.method == "none" else figure.method,
        reason=figure.reason,
    )


def rounded(value: float) -> float | None:
    """To six decimals, null for NaN. Sums in another order differ in the last bits; what is published should not."""
    return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None  # + 0.0: no -0.0
