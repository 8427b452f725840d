"""Cluster-bootstrap intervals of means over ladders (docs/statistics.md, 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

RESAMPLES = 10_000
SEED = 0
EQUAL = 1e-12
BLOCK = 1 << 20
"""Numbers drawn at a time: bounds the memory of a bootstrap to some 30 MB."""

Method = Literal["bca", "percentile", "all-equal", "none"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95 % interval; `low` and `high` are NaN where there is none (method "none")."""

    low: float
    high: float
    method: Method


def mean_intervals(
    values: NDArray[np.float64], scale: tuple[float, float], resamples: int = RESAMPLES, seed: int = SEED
) -> list[Interval]:
    """95 % intervals of the column means of `values` (n ladders, F figures), each on the scale [a, b].

    Ladders are resampled with replacement, jointly for all columns. BCa (Efron 1987; acceleration by the jackknife over
    ladders), the percentile interval where BCa is undefined; where all ladders are equal, see `all_equal_interval`.
    """
    n, figures = values.shape
    intervals: dict[int, Interval] = {}
    for f in range(figures):
        if n < 2:
            intervals[f] = Interval(np.nan, np.nan, "none")
        elif np.ptp(values[:, f]) <= EQUAL:
            intervals[f] = all_equal_interval(float(values[0, f]), n, scale)
    columns = [f for f in range(figures) if f not in intervals]
    for f, means in zip(columns, _resampled_means(values[:, columns], resamples, seed), strict=True):
        intervals[f] = _bca(values[:, f], means)
    return [intervals[f] for f in range(figures)]


def all_equal_interval(m: float, n: int, scale: tuple[float, float]) -> Interval:
    """The interval of a mean whose n >= 2 ladders all have the value m: a bootstrap would claim to be certain.

    [m - pi (m - a), m + pi (b - m)] with pi = 1 - 0.025^(1/n): Clopper-Pearson where m is an end of the scale.
    """
    a, b = scale
    pi = 1 - 0.025 ** (1 / n)
    return Interval(m - pi * (m - a), m + pi * (b - m), "all-equal")


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """(resamples,) means for each column. A column of few distinct values (accuracies) needs only how often each is
    drawn, a multinomial; the others share one matrix of how often each ladder is drawn."""
    n, figures = values.shape
    distinct = [np.unique(values[:, f], return_counts=True) for f in range(figures)]
    shared = [f for f in range(figures) if len(distinct[f][0]) > max(8, n // 16)]
    means: dict[int, NDArray[np.float64]] = {}
    for f in range(figures):
        if f not in shared:
            value, count = distinct[f]
            draws = np.random.default_rng(seed).multinomial(n, count / n, size=resamples)
            means[f] = draws @ value / n
    if shared:
        together = np.empty((resamples, len(shared)))
        rng = np.random.default_rng(seed)
        rows = max(1, BLOCK // n)
        columns = np.ascontiguousarray(values[:, shared])
        for start in range(0, resamples, rows):
            block = min(rows, resamples - start)
            drawn = rng.integers(0, n, size=(block, n), dtype=np.int32)
            drawn += (np.arange(block, dtype=np.int32) * n)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=block * n).reshape(block, n)
            together[start : start + block] = counts.astype(np.float64) @ columns / n
        means |= {f: together[:, k] for k, f in enumerate(shared)}
    return iter([means[f] for f in range(figures)])


def _bca(values: NDArray[np.float64], means: NDArray[np.float64]) -> Interval:
    estimate = values.mean()
    equal = np.abs(means - estimate) <= EQUAL
    below = (np.count_nonzero(means < estimate - EQUAL) + 0.5 * np.count_nonzero(equal)) / len(means)
    deviations = values - estimate  # proportional to the jackknife's, for a mean
    z0 = ndtri(below)
    acceleration = (deviations**3).sum() / (6 * ((deviations**2).sum()) ** 1.5)
    z = z0 + ndtri(np.array([0.025, 0.975]))
    with np.errstate(invalid="ignore", divide="ignore"):
        levels = ndtr(z0 + z / (1 - acceleration * z))
    if np.isfinite(z0) and np.isfinite(levels).all():
        low, high = np.quantile(means, levels)
        return Interval(float(low), float(high), "bca")
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high), "percentile")
