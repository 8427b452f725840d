"""Is a grader as sure as it is right? Fitted probability of a pair and overconfidence (docs/statistics.md, 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

FOLDS = 5
BOUNDS = (1e-3, 1e3)


@dataclass(frozen=True, slots=True)
class FittedConfidence:
    """(P,) confidence of each pair, max(p, 1 - p), NaN where unscored; and per fold the temperature that was fitted on
    the other folds, and whether it ran into a bound."""

    confidence: NDArray[np.float64]
    temperatures: tuple[float, ...]
    at_bound: tuple[bool, ...]


def folds_of(ladder_ids: Sequence[str]) -> NDArray[np.int8]:
    """(n,) fold of each ladder by a hash of its id: the same ladder is in the same fold of every data set and run."""
    return np.array(
        [
            int.from_bytes(hashlib.sha256(i.encode("utf-8", "surrogatepass")).digest()[:8], "big") % FOLDS
            for i in ladder_ids
        ],
        dtype=np.int8,
    )


def fitted_confidence(
    margin: NDArray[np.float64], cluster: NDArray[np.int32], folds: NDArray[np.int8]
) -> FittedConfidence | None:
    """Confidence sigmoid(|margin| / T), T minimising the log loss on the other folds' pairs, each ladder weighing 1.

    margin (P,) as in PairTable, cluster (P,) the pairs' ladders, folds (n,) the ladders' folds. T stays within 1e-3 and
    1e3 times the median absolute margin (of those that are not 0). None where some fold has no other to be fitted on.
    """
    scored = ~np.isnan(margin)
    m, c = margin[scored], cluster[scored]
    present = np.unique(folds[np.unique(c)])
    if len(present) < 2:
        return None
    size = np.abs(m)
    confidence = np.full(len(margin), np.nan)
    scale = float(np.median(size[size > 0])) if (size > 0).any() else 0.0
    if scale == 0.0:
        confidence[scored] = 0.5
        return FittedConfidence(confidence, (float("nan"),) * FOLDS, (False,) * FOLDS)
    # Of order 1, so that nothing overflows; a margin of a thousand million medians is as certain as any.
    with np.errstate(over="ignore"):
        m = np.clip(m / scale, -1e9, 1e9)
    weight = 1 / np.bincount(c, minlength=len(folds))[c]
    fold = folds[c]
    temperatures, at_bound = [], []
    own = np.empty(len(m))
    for f in range(FOLDS):
        others = fold != f
        temperature, bound = _temperature(m[others], weight[others])
        temperatures.append(temperature * scale)
        at_bound.append(bound)
        held_out = ~others
        own[held_out] = expit(np.abs(m[held_out]) / temperature)
    confidence[scored] = own
    return FittedConfidence(confidence, tuple(temperatures), tuple(at_bound))


def _temperature(margin: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, bool]:
    """T that minimises sum w log(1 + exp(-m / T)), and whether it is at a bound.

    The loss is convex in 1 / T, so T is the root of a rising derivative.
    """
    weighted = weight * margin

    def slope(log_inverse: float) -> float:
        return -float(weighted @ expit(-np.exp(log_inverse) * margin))

    low, high = -np.log(BOUNDS[1]), -np.log(BOUNDS[0])
    if slope(low) >= 0:
        return BOUNDS[1], True
    if slope(high) <= 0:
        return BOUNDS[0], True
    return float(np.exp(-brentq(slope, low, high, xtol=1e-9))), False
