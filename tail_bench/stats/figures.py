"""The figures of a report, region by region: per-ladder means, their mean over ladders, and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tail_bench.stats.bootstrap import RESAMPLES, SEED, Interval, Method, mean_intervals
from tail_bench.stats.calibration import FittedConfidence, fitted_confidence
from tail_bench.stats.pairs import REGIONS, TAIL, PairTable

SHARE = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over `n_ladders` ladders with its interval; NaN where unknown, with the reason."""

    value: float
    ci_low: float
    ci_high: float
    n_ladders: int
    n_pairs: int
    method: Method
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """The figures of one region (docs/statistics.md, 3, and the fitted overconfidence of section 5)."""

    accuracy: Figure
    strict_accuracy: Figure
    tie_rate: Figure
    unscored_rate: Figure
    overconfidence: Figure


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a data set; `gap_against` is the region that the tail gap compares the tail with."""

    regions: dict[str, Region]
    tail_gap: Figure
    gap_against: str
    fitted: FittedConfidence | None


def figures(
    pairs: PairTable,
    folds: NDArray[np.int8],
    intervals: bool = True,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Figures:
    """Accuracy, ties, unscored and overconfidence in tail, cross, body and all, and the tail gap.

    folds (n_clusters,) as from `folds_of`. Without `intervals` only the values are computed (in a training callback).
    """
    fitted = fitted_confidence(pairs.margin, pairs.cluster, folds)
    masks = {name: pairs.region == code for code, name in enumerate(REGIONS)}
    masks["all"] = np.ones(len(pairs.region), dtype=bool)
    how = _Interval(intervals, resamples, seed)
    regions = {name: _region(pairs, mask, fitted, how) for name, mask in masks.items()}
    against = "body" if regions["body"].accuracy.n_ladders else "cross"
    return Figures(regions, _gap(pairs, masks["tail"], masks[against], how), against, fitted)


def accuracy_of_ladders(pairs: PairTable) -> dict[str, NDArray[np.float64]]:
    """Region -> (n_clusters,) accuracy of each ladder, NaN where it has no pair in the region."""
    credit = np.nan_to_num(pairs.outcome, nan=0.0)
    return {name: _per_ladder(pairs, pairs.region == code, credit)[0] for code, name in enumerate(REGIONS)}


def tail_accuracy(pairs: PairTable, resamples: int = RESAMPLES, seed: int = SEED) -> Figure:
    """The headline alone, with its interval."""
    credit = np.nan_to_num(pairs.outcome, nan=0.0)
    column = _per_ladder(pairs, pairs.region == TAIL, credit)
    return _figures_of([column], SHARE, _Interval(True, resamples, seed), "no pair in this region")[0]


@dataclass(frozen=True, slots=True)
class _Interval:
    wanted: bool
    resamples: int
    seed: int

    def of(self, columns: NDArray[np.float64], scale: tuple[float, float]) -> list[Interval]:
        if not self.wanted:
            return [Interval(np.nan, np.nan, "none")] * columns.shape[1]
        return mean_intervals(columns, scale, self.resamples, self.seed)


def _per_ladder(
    pairs: PairTable, mask: NDArray[np.bool_], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """(n_clusters,) mean of `value` over each ladder's pairs in `mask`, NaN where it has none; and how many pairs."""
    cluster = pairs.cluster[mask]
    count = np.bincount(cluster, minlength=pairs.n_clusters)
    total = np.bincount(cluster, weights=value[mask], minlength=pairs.n_clusters)
    with np.errstate(invalid="ignore"):
        return total / count, len(cluster)


def _figures_of(
    columns: Sequence[tuple[NDArray[np.float64], int]],
    scale: tuple[float, float],
    how: _Interval,
    why_none: str,
) -> list[Figure]:
    """A figure from each (per-ladder values, number of pairs); they must have their NaNs at the same ladders."""
    there = ~np.isnan(columns[0][0])
    n = int(there.sum())
    if n == 0:
        return [Figure(np.nan, np.nan, np.nan, 0, 0, "none", why_none) for _ in columns]
    table = np.column_stack([values[there] for values, _ in columns])
    reason = "one ladder: no interval" if n == 1 else None if how.wanted else "intervals were not asked for"
    return [
        Figure(float(table[:, f].mean()), i.low, i.high, n, columns[f][1], i.method, reason)
        for f, i in enumerate(how.of(table, scale))
    ]


def _region(pairs: PairTable, mask: NDArray[np.bool_], fitted: FittedConfidence | None, how: _Interval) -> Region:
    outcome = pairs.outcome
    unscored = np.isnan(outcome)
    tied = outcome == 0.5
    accuracy, strict, unscored_rate = _figures_of(
        [
            _per_ladder(pairs, mask, np.where(unscored, 0.0, outcome)),
            _per_ladder(pairs, mask, (outcome == 1).astype(float)),
            _per_ladder(pairs, mask, unscored.astype(float)),
        ],
        SHARE,
        how,
        "no pair in this region",
    )
    scored = mask & ~unscored
    (tie_rate,) = _figures_of(
        [_per_ladder(pairs, scored, tied.astype(float))], SHARE, how, "no scored pair in this region"
    )
    if fitted is None:
        overconfidence = Figure(np.nan, np.nan, np.nan, 0, 0, "none", "too few scored ladders to cross-fit")
    else:
        # c lies in [0.5, 1] and the outcome in [0, 1]
        (overconfidence,) = _figures_of(
            [_per_ladder(pairs, scored, fitted.confidence - outcome)],
            (-0.5, 1.0),
            how,
            "no scored pair in this region",
        )
    return Region(accuracy, strict, tie_rate, unscored_rate, overconfidence)


def _gap(pairs: PairTable, tail: NDArray[np.bool_], other: NDArray[np.bool_], how: _Interval) -> Figure:
    credit = np.nan_to_num(pairs.outcome, nan=0.0)
    in_tail, _ = _per_ladder(pairs, tail, credit)
    in_other, _ = _per_ladder(pairs, other, credit)
    both = ~np.isnan(in_tail) & ~np.isnan(in_other)
    n_pairs = int((both[pairs.cluster] & (tail | other)).sum())
    (gap,) = _figures_of([(in_other - in_tail, n_pairs)], (-1.0, 1.0), how, "no ladder has pairs in both regions")
    return gap
