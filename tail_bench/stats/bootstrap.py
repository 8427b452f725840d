"""Cluster-bootstrap intervals of means over ladders (docs/statistics.md, 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

RESAMPLES = 10_000
SEED = 0
EQUAL = 1e-12
STRATA = 16

Method = Literal["bca", "percentile", "all-equal", "none"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95 % interval; `low` and `high` are NaN where there is none (method "none")."""

    low: float
    high: float
    method: Method


def mean_interval(
    values: NDArray[np.float64], scale: tuple[float, float], resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """The 95 % interval of the mean of `values` (n,), one a ladder, on the scale [a, b].

    Ladders are resampled with replacement. BCa (Efron 1987; acceleration by the jackknife over ladders), the
    percentile interval where BCa is undefined, `all_equal_interval` where all are equal, none for a single ladder.
    """
    n = len(values)
    if n < 2:
        return Interval(np.nan, np.nan, "none")
    if np.ptp(values) <= EQUAL:
        return all_equal_interval(float(values[0]), n, scale)
    return _bca(values, resampled_means(values, resamples, seed))


def all_equal_interval(m: float, n: int, scale: tuple[float, float]) -> Interval:
    """The interval of a mean whose n >= 2 ladders all have the value m: a bootstrap would claim to be certain.

    [m - pi (m - a), m + pi (b - m)] with pi = 1 - 0.025^(1/n): Clopper-Pearson where m is an end of the scale.
    """
    a, b = scale
    pi = 1 - 0.025 ** (1 / n)
    return Interval(m - pi * (m - a), m + pi * (b - m), "all-equal")


def resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """(resamples,) means of n values drawn with replacement from `values` (n,).

    A mean needs only how often each distinct value is drawn, a multinomial: far cheaper than drawing n ladders each
    time. More than STRATA distinct values are gathered in strata of equal width: how often a stratum is drawn is
    exact, and the sum of what is drawn within it is normal with its exact mean and variance, which so narrow a stratum
    makes indistinguishable from the bootstrap itself.
    """
    n = len(values)
    center, count = np.unique(values, return_counts=True)
    spread = np.zeros(len(center))
    if len(center) > STRATA:
        low, high = center[0], center[-1]
        stratum = np.minimum((values - low) / (high - low) * STRATA, STRATA - 1).astype(np.intp)
        count = np.bincount(stratum, minlength=STRATA)
        center = np.bincount(stratum, values, minlength=STRATA) / np.maximum(count, 1)
        spread = np.bincount(stratum, (values - center[stratum]) ** 2, minlength=STRATA) / np.maximum(count, 1)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n, count / n, size=resamples)
    within = np.sqrt(draws @ spread) * rng.standard_normal(resamples)
    return np.asarray((draws @ center + within) / n)


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
