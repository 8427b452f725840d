"""The figures of a report, region by region: per-ladder means, their mean over ladders, and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tail_bench.stats.bootstrap import RESAMPLES, SEED, Interval, Method, mean_interval
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
    how = _Intervals(intervals, resamples, seed)
    regions = {name: _region(pairs, mask, fitted, how) for name, mask in masks.items()}
    against = "body" if regions["body"].accuracy.n_ladders else "cross"
    return Figures(regions, _gap(pairs, masks["tail"], masks[against], how), against, fitted)


def accuracy_of_ladders(pairs: PairTable) -> dict[str, NDArray[np.float64]]:
    """Region -> (n_clusters,) accuracy of each ladder, NaN where it has no pair in the region."""
    credit = np.nan_to_num(pairs.outcome, nan=0.0)
    return {name: _per_ladder(pairs, pairs.region == code, credit) for code, name in enumerate(REGIONS)}


def tail_accuracy(pairs: PairTable) -> Figure:
    """The headline alone, with its interval."""
    tail = pairs.region == TAIL
    return _figure(pairs, tail, np.nan_to_num(pairs.outcome, nan=0.0), SHARE, _Intervals(True, RESAMPLES, SEED))


@dataclass(frozen=True, slots=True)
class _Intervals:
    """Whether intervals are wanted, and from what."""

    wanted: bool
    resamples: int
    seed: int


def _per_ladder(pairs: PairTable, mask: NDArray[np.bool_], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_clusters,) mean of `value` over each ladder's pairs in `mask`, NaN where it has none."""
    cluster = pairs.cluster[mask]
    count = np.bincount(cluster, minlength=pairs.n_clusters)
    total = np.bincount(cluster, weights=value[mask], minlength=pairs.n_clusters)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def _mean_figure(
    ladders: NDArray[np.float64], n_pairs: int, scale: tuple[float, float], how: _Intervals, why_none: str
) -> Figure:
    """The mean of the per-ladder values that are not NaN, with its interval."""
    values = ladders[~np.isnan(ladders)]
    if len(values) == 0:
        return Figure(np.nan, np.nan, np.nan, 0, 0, "none", why_none)
    reason = "one ladder: no interval" if len(values) == 1 else None
    if how.wanted:
        interval = mean_interval(values, scale, how.resamples, how.seed)
    else:
        interval, reason = Interval(np.nan, np.nan, "none"), "intervals were not asked for"
    return Figure(float(values.mean()), interval.low, interval.high, len(values), n_pairs, interval.method, reason)


def _figure(
    pairs: PairTable, mask: NDArray[np.bool_], value: NDArray[np.float64], scale: tuple[float, float], how: _Intervals
) -> Figure:
    """The figure of a value of pairs, over the pairs in `mask`."""
    return _mean_figure(_per_ladder(pairs, mask, value), int(mask.sum()), scale, how, "no such pair")


def _region(pairs: PairTable, mask: NDArray[np.bool_], fitted: FittedConfidence | None, how: _Intervals) -> Region:
    outcome = pairs.outcome
    unscored = np.isnan(outcome)
    scored = mask & ~unscored
    if fitted is None:
        overconfidence = Figure(np.nan, np.nan, np.nan, 0, 0, "none", "too few scored ladders to cross-fit")
    else:  # confidence lies in [0.5, 1] and the outcome in [0, 1]
        overconfidence = _figure(pairs, scored, fitted.confidence - outcome, (-0.5, 1.0), how)
    return Region(
        accuracy=_figure(pairs, mask, np.where(unscored, 0.0, outcome), SHARE, how),
        strict_accuracy=_figure(pairs, mask, (outcome == 1).astype(float), SHARE, how),
        tie_rate=_figure(pairs, scored, (outcome == 0.5).astype(float), SHARE, how),
        unscored_rate=_figure(pairs, mask, unscored.astype(float), SHARE, how),
        overconfidence=overconfidence,
    )


def _gap(pairs: PairTable, tail: NDArray[np.bool_], other: NDArray[np.bool_], how: _Intervals) -> Figure:
    credit = np.nan_to_num(pairs.outcome, nan=0.0)
    gap = _per_ladder(pairs, other, credit) - _per_ladder(pairs, tail, credit)
    n_pairs = int((~np.isnan(gap)[pairs.cluster] & (tail | other)).sum())
    return _mean_figure(gap, n_pairs, (-1.0, 1.0), how, "no ladder has pairs in both regions")
