"""The figures of a report, region by region: per-ladder means, their mean over ladders, and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tail_bench.stats.bootstrap import RESAMPLES, SEED, Interval, Method, mean_interval
from tail_bench.stats.calibration import FittedConfidence, fitted_confidence
from tail_bench.stats.pairs import REGIONS, TAIL, PairTable

SHARE = (0.0, 1.0)
NO_PAIR = "no such pair"


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
    """The figures of one region (docs/statistics.md, 3 and 5). `overconfidence` is the fitted one; the native one is of
    a grader that emits probabilities."""

    accuracy: Figure
    strict_accuracy: Figure
    tie_rate: Figure
    unscored_rate: Figure
    overconfidence: Figure
    native_overconfidence: Figure


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
    native: bool = False,
) -> Figures:
    """Accuracy, ties, unscored and overconfidence in tail, cross, body and all, and the tail gap.

    native: the margins are log-odds of a probability that the grader emitted, so that its own confidence is known.

    folds (n_clusters,) as from `folds_of`. Without `intervals` only the values are computed (in a training callback).
    """
    fitted = fitted_confidence(pairs.margin, pairs.cluster, folds)
    outcome = pairs.outcome
    how = Intervals(intervals, resamples, seed)
    regions = {}
    for name in (*REGIONS, "all"):
        own = slice(None) if name == "all" else pairs.region == REGIONS.index(name)
        confidence = None if fitted is None else fitted.confidence[own]
        emitted = expit(np.abs(pairs.margin[own])) if native else None
        regions[name] = _region(pairs.cluster[own], outcome[own], confidence, emitted, pairs.n_clusters, how)
    against = "body" if regions["body"].accuracy.n_ladders else "cross"
    return Figures(regions, _gap(pairs, against, how), against, fitted)


def accuracy_of_ladders(pairs: PairTable) -> dict[str, NDArray[np.float64]]:
    """Region -> (n_clusters,) accuracy of each ladder, NaN where it has no pair in the region."""
    credit = np.nan_to_num(pairs.outcome, nan=0.0)
    found = {}
    for code, name in enumerate(REGIONS):
        own = pairs.region == code
        found[name] = per_ladder(pairs.cluster[own], credit[own], pairs.n_clusters)
    return found


def tail_accuracy(pairs: PairTable) -> Figure:
    """The headline alone, with its interval."""
    ladders = accuracy_of_ladders(pairs)["tail"]
    return mean_figure(ladders, int((pairs.region == TAIL).sum()), SHARE, Intervals(True, RESAMPLES, SEED), NO_PAIR)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Whether intervals are wanted, and from what."""

    wanted: bool
    resamples: int
    seed: int


def per_ladder(cluster: NDArray[np.int32], value: NDArray[Any], n_clusters: int) -> NDArray[np.float64]:
    """(n_clusters,) mean of the pairs' `value` over each ladder, NaN where it has none."""
    with np.errstate(invalid="ignore"):
        total = np.bincount(cluster, weights=value, minlength=n_clusters)
        return np.asarray(total / np.bincount(cluster, minlength=n_clusters))


def mean_figure(
    ladders: NDArray[np.float64], n_pairs: int, scale: tuple[float, float], how: Intervals, why_none: str
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


def _region(
    cluster: NDArray[np.int32],
    outcome: NDArray[np.float32],
    fitted: NDArray[np.float64] | None,
    native: NDArray[np.float64] | None,
    n_clusters: int,
    how: Intervals,
) -> Region:
    """The figures of a region from its pairs: ladder, outcome, fitted and native confidence of each."""

    def figure(value: NDArray[Any], scale: tuple[float, float] = SHARE) -> Figure:
        over = cluster if len(value) == len(cluster) else cluster[scored]
        return mean_figure(per_ladder(over, value, n_clusters), len(value), scale, how, NO_PAIR)

    scored = ~np.isnan(outcome)

    def overconfidence(confidence: NDArray[np.float64] | None, why_none: str) -> Figure:
        if confidence is None:
            return Figure(np.nan, np.nan, np.nan, 0, 0, "none", why_none)
        return figure((confidence - outcome)[scored], (-0.5, 1.0))  # confidence lies in [0.5, 1], the outcome in [0, 1]

    return Region(
        accuracy=figure(np.nan_to_num(outcome, nan=0.0)),
        strict_accuracy=figure(outcome == 1),
        tie_rate=figure(outcome[scored] == 0.5),
        unscored_rate=figure(~scored),
        overconfidence=overconfidence(fitted, "too few scored ladders to cross-fit"),
        native_overconfidence=overconfidence(native, "the grader emits no probabilities"),
    )


def clustered_mean(
    ladders: Sequence[str], values: Sequence[float], scale: tuple[float, float], how: Intervals, why_none: str = NO_PAIR
) -> Figure:
    """The mean over ladders of the mean of each ladder's `values` (those that are not NaN), whose ladders are named."""
    value = np.asarray(values, dtype=float)
    known = ~np.isnan(value)
    names, cluster = np.unique(np.asarray(ladders, dtype=object)[known].astype(str), return_inverse=True)
    means = per_ladder(cluster.astype(np.int32), value[known], len(names))
    return mean_figure(means, int(known.sum()), scale, how, why_none)


def _gap(pairs: PairTable, against: str, how: Intervals) -> Figure:
    ladders = accuracy_of_ladders(pairs)
    gap = ladders[against] - ladders["tail"]
    in_both = ~np.isnan(gap)[pairs.cluster] & ((pairs.region == TAIL) | (pairs.region == REGIONS.index(against)))
    return mean_figure(gap, int(in_both.sum()), (-1.0, 1.0), how, "no ladder has pairs in both regions")
