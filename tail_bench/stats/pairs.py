"""From golds and judgments to pairs: one row for each two responses of a ladder of which one is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TAIL, CROSS, BODY = 0, 1, 2
REGIONS = ("tail", "cross", "body")
GOLD_TOLERANCE = 1e-9
"""Golds closer than this are equal: means of raters' points and weighted shares carry rounding."""

P_TIE_TOLERANCE = 1e-9
P_CLIP = 1e-6


@dataclass(frozen=True, slots=True)
class JudgedLadder:
    """One ladder as arrays. `tiers` are codes, -1 for none; a grader gives `scores` or `preferences`.

    golds (K,); tiers (K,); tail (K,) bool; scores (K,), NaN where unscored; preferences (K, K), entry [i, j] =
    p(i over j), NaN where unscored, with preferences[j, i] = 1 - preferences[i, j].
    """

    golds: NDArray[np.float64]
    tiers: NDArray[np.int8]
    tail: NDArray[np.bool_]
    scores: NDArray[np.float64] | None = None
    preferences: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class PairTable:
    """All pairs of a data set, P rows; `cluster` is the index of the pair's ladder, 0 to n_clusters - 1.

    region: TAIL, CROSS or BODY. margin: the grader's evidence that the better response is better (difference of scores,
    or log-odds of the preference): above 0 right, 0 a tie, below 0 wrong, NaN unscored.
    """

    n_clusters: int
    cluster: NDArray[np.int32]
    region: NDArray[np.int8]
    margin: NDArray[np.float64]

    @property
    def outcome(self) -> NDArray[np.float32]:
        """(P,) 1 right, 0.5 tie, 0 wrong, NaN unscored."""
        return np.asarray((np.sign(self.margin) + 1) / 2, dtype=np.float32)


@lru_cache(maxsize=8)  # a data set has few sizes; large ones must not pile up
def _two_of(k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(k, 1)


def better_and_worse(
    golds: NDArray[np.float64], tiers: NDArray[np.int8], min_margin: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(P,) places of the better and of the worse response of each pair of a ladder (docs/statistics.md, 1).

    golds (K,); tiers (K,) codes, -1 for none.
    """
    i, j = _two_of(len(golds))
    with np.errstate(over="ignore"):
        gap = golds[i] - golds[j]
    size = np.abs(gap)
    same_tier = (tiers[i] == tiers[j]) & (tiers[i] >= 0)
    keep = (size > GOLD_TOLERANCE) & (size >= min_margin - GOLD_TOLERANCE) & ~same_tier
    return np.where(gap < 0, j, i)[keep], np.where(gap < 0, i, j)[keep]


def pair_table(ladders: Sequence[tuple[int, JudgedLadder]], n_clusters: int, min_margin: float = 0.0) -> PairTable:
    """The pairs of (cluster, ladder)s: golds apart by more than the tolerance and at least `min_margin`, and tiers
    different where both have one (docs/statistics.md, 1).

    A ladder judged several times (epochs) comes several times, in the same cluster.
    """
    # Room for every two responses, of which the system gives only what is written to: a million responses fit.
    room = sum(len(ladder.golds) * (len(ladder.golds) - 1) // 2 for _, ladder in ladders)
    cluster_of, region, margin = np.empty(room, np.int32), np.empty(room, np.int8), np.empty(room)
    start = 0
    for cluster, ladder in ladders:
        better, worse = better_and_worse(ladder.golds, ladder.tiers, min_margin)
        stop = start + len(better)
        in_tail = ladder.tail[better].astype(np.int8) + ladder.tail[worse]
        cluster_of[start:stop] = cluster
        region[start:stop] = BODY - in_tail  # both: TAIL, one: CROSS, none: BODY
        margin[start:stop] = _margins(ladder, better, worse)
        start = stop
    return PairTable(n_clusters, cluster_of[:start], region[:start], margin[:start])


def _margins(ladder: JudgedLadder, better: NDArray[np.intp], worse: NDArray[np.intp]) -> NDArray[np.float64]:
    if ladder.scores is not None:
        with np.errstate(over="ignore"):
            margin = ladder.scores[better] - ladder.scores[worse]
        return np.clip(margin, -np.finfo(float).max, np.finfo(float).max)
    assert ladder.preferences is not None
    p = ladder.preferences[better, worse]
    clipped = np.clip(p, P_CLIP, 1 - P_CLIP)
    return np.where(np.abs(p - 0.5) < P_TIE_TOLERANCE, 0.0, np.log(clipped / (1 - clipped)))
