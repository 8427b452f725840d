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
NEAR = 0.05


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
    fold_of = np.where(scored, folds[cluster], -1)  # -1: in no fold
    if len(np.unique(fold_of[scored])) < 2:
        return None
    confidence = np.full(len(margin), np.nan)
    scale = _scale(margin)
    if scale == 0.0:
        confidence[scored] = 0.5
        return FittedConfidence(confidence, (float("nan"),) * FOLDS, (False,) * FOLDS)
    per_ladder = np.bincount(cluster[scored], minlength=len(folds))
    parts = []
    for f in range(FOLDS):
        own = fold_of == f
        # Of order 1, so that nothing overflows; a margin of a thousand million medians is as certain as any.
        with np.errstate(over="ignore"):
            parts.append((np.clip(margin[own] / scale, -1e9, 1e9), 1 / per_ladder[cluster[own]]))
    temperatures: list[float] = []
    at_bound = []
    for f in range(FOLDS):
        others = [part for g, part in enumerate(parts) if g != f]
        temperature, bound = _temperature(others, near=temperatures[-1] if temperatures else None)
        temperatures.append(temperature)
        at_bound.append(bound)
        confidence[fold_of == f] = expit(np.abs(parts[f][0]) / temperature)
    return FittedConfidence(confidence, tuple(t * scale for t in temperatures), tuple(at_bound))


def _scale(margin: NDArray[np.float64]) -> float:
    """The median absolute margin of the scored pairs that are no ties, 0 where there is none."""
    size = np.abs(margin[~np.isnan(margin) & (margin != 0)])
    return float(np.median(size, overwrite_input=True)) if len(size) else 0.0


def _temperature(
    parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], near: float | None
) -> tuple[float, bool]:
    """T that minimises the sum of w log(1 + exp(-m / T)) over all parts (m, w), and whether it is at a bound.

    The loss is convex in 1 / T, so T is the root of a rising derivative. The T of another fold, `near`, saves search.
    """

    def slope(log_inverse: float) -> float:
        inverse = np.exp(log_inverse)
        return -sum(float((w * m) @ expit(-inverse * m)) for m, w in parts)

    if near is not None:
        low, high = -np.log(near) - NEAR, -np.log(near) + NEAR
        if slope(low) < 0 < slope(high):
            return float(np.exp(-brentq(slope, low, high, xtol=1e-9))), False
    low, high = -np.log(BOUNDS[1]), -np.log(BOUNDS[0])
    if slope(low) >= 0:
        return BOUNDS[1], True
    if slope(high) <= 0:
        return BOUNDS[0], True
    return float(np.exp(-brentq(slope, low, high, xtol=1e-9))), False
