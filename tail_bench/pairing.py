"""From truths and judgments to the pairs that the statistics are about."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from tail_bench.errors import InputError
from tail_bench.judgments import Judgment, Truth
from tail_bench.ladders.tail import FORMS, TIERS, TailSpec, default_tail
from tail_bench.stats.pairs import (
    P_TIE_TOLERANCE,
    TAIL,
    JudgedLadder,
    PairTable,
    better_and_worse,
    pair_table,
)


def check_margin(min_margin: object) -> None:
    """InputError where min_margin is not a number of at least 0."""
    number = isinstance(min_margin, (int, float)) and not isinstance(min_margin, bool)
    if not number or not 0 <= float(min_margin) < math.inf:  # type: ignore[arg-type]
        raise InputError(f"min_margin {min_margin}: must be a number of at least 0")


def resolve_tail(
    truths: Sequence[Truth], tail: str | Sequence[str] | TailSpec | None, min_margin: float = 0.0
) -> TailSpec:
    """The tail asked for, or the data set's default; InputError where no ladder has a pair in it."""
    check_margin(min_margin)
    spec = TailSpec.parse(default_tail(tier for t in truths for tier in t.tiers) if tail is None else tail)
    if any(_has_tail_pair(truth, spec, min_margin) for truth in truths):
        return spec
    golds = np.concatenate([t.golds for t in truths])
    tiers = sorted({tier for t in truths for tier in t.tiers if tier}, key=TIERS.index)
    raise InputError(
        f"no ladder has two responses of different quality in the tail {spec}"
        + (f" with min_margin {min_margin:g}" if min_margin else "")
        + f": golds run from {golds.min():g} to {golds.max():g}, tiers: {', '.join(tiers) or 'none'}."
        f" Choose another tail: {FORMS}"
    )


def _has_tail_pair(truth: Truth, spec: TailSpec, min_margin: float) -> bool:
    tail = spec.members(truth.golds, truth.tiers, truth.ranks)
    nothing = np.zeros(len(truth.golds))
    table = pair_table([(0, JudgedLadder(truth.golds, _tier_codes(truth), tail, nothing))], 1, min_margin)
    return bool((table.region == TAIL).any())


def _tier_codes(truth: Truth) -> NDArray[np.int8]:
    return np.array([-1 if t is None else TIERS.index(t) for t in truth.tiers], dtype=np.int8)


def pairs_of(
    truths: Sequence[Truth], judgments: Sequence[Judgment], tail: TailSpec, min_margin: float
) -> tuple[PairTable, list[str]]:
    """The pair table of the judged ladders and their ids, by which its clusters are numbered.

    Sorted by id, so that the figures do not depend on the order in which ladders were judged or written.
    """
    by_id = {t.ladder: t for t in truths}
    ids = sorted({j.ladder for j in judgments})
    cluster = {ladder: number for number, ladder in enumerate(ids)}
    ordered = sorted(judgments, key=lambda j: cluster[j.ladder])
    arrays = [(cluster[j.ladder], _arrays(by_id[j.ladder], j, tail)) for j in ordered]
    return pair_table(arrays, len(ids), min_margin), ids


def _arrays(truth: Truth, judgment: Judgment, tail: TailSpec) -> JudgedLadder:
    members = tail.members(truth.golds, truth.tiers, truth.ranks)
    codes = _tier_codes(truth)
    if judgment.scores is not None:
        said = [judgment.scores.get(r) for r in truth.responses]
        scores = np.array([math.nan if s is None else s for s in said], dtype=float)
        return JudgedLadder(truth.golds, codes, members, scores=scores)
    return JudgedLadder(truth.golds, codes, members, preferences=_preference_matrix(truth, judgment))


def _preference_matrix(truth: Truth, judgment: Judgment) -> NDArray[np.float64]:
    """(K, K) p(i over j), the mean over the orders of presentation asked (each the mean of its answers).

    NaN where any answer is unscored, or none was asked for.
    """
    at = {r: i for i, r in enumerate(truth.responses)}
    total = np.zeros((len(at), len(at)))  # [i, j]: i was shown first
    asked = np.zeros((len(at), len(at)))
    for a, b, p_a in judgment.preferences or ():
        total[at[a], at[b]] += math.nan if p_a is None else p_a
        asked[at[a], at[b]] += 1
    first = np.divide(total, asked, out=np.zeros_like(total), where=asked > 0)
    second = np.where(asked.T > 0, 1 - first.T, 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray((first + second) / ((asked > 0).astype(int) + (asked.T > 0)))


def better_pairs(truth: Truth, min_margin: float) -> list[tuple[str, str]]:
    """The (better, worse) responses of a ladder that are a pair (docs/statistics.md, 1)."""
    better, worse = better_and_worse(truth.golds, _tier_codes(truth), min_margin)
    return [(truth.responses[i], truth.responses[j]) for i, j in zip(better, worse, strict=True)]


def prefers(judgment: Judgment, truth: Truth) -> Callable[[str, str], float]:
    """(i, j) -> 1 where the grader prefers response i over j, 0.5 a tie, 0 the other way, NaN unscored."""
    at = {r: n for n, r in enumerate(truth.responses)}
    if judgment.preferences is not None:
        matrix = _preference_matrix(truth, judgment)
        return lambda i, j: _outcome(float(matrix[at[i], at[j]]) - 0.5, P_TIE_TOLERANCE)
    scores = {r: math.nan if s is None else s for r, s in (judgment.scores or {}).items()}
    return lambda i, j: _outcome(scores.get(i, math.nan) - scores.get(j, math.nan), 0.0)


def _outcome(margin: float, tolerance: float) -> float:
    if math.isnan(margin):
        return math.nan
    return 0.5 if abs(margin) <= tolerance else float(margin > 0)


def first_shown_wins(judgment: Judgment) -> dict[frozenset[str], tuple[float, float]]:
    """For each two responses that were shown together in both orders: how the first shown fared in the one order and in
    the other (as `prefers`). Empty for a grader that is shown one response at a time."""
    margins: dict[tuple[str, str], list[float]] = defaultdict(list)
    if judgment.preferences is not None:
        for a, b, p in judgment.preferences:
            margins[a, b].append(math.nan if p is None else p - 0.5)
    else:
        for answer in judgment.answers:
            for vote in answer.votes:
                ranks = (math.nan,) * len(answer.about) if vote is None else vote
                if len(ranks) == len(answer.about) > 1:
                    for (a, rank_a), (b, rank_b) in combinations(zip(answer.about, ranks, strict=True), 2):
                        apart = math.nan if rank_a is None or rank_b is None else rank_b - rank_a
                        margins[a, b].append(apart)
    return {
        frozenset(key): (_of(margins[key]), _of(margins[key[::-1]]))
        for key in sorted(margins)
        if key[0] < key[1] and key[::-1] in margins
    }


def _of(margins: Sequence[float]) -> float:
    known = [m for m in margins if not math.isnan(m)]
    return _outcome(fmean(known), P_TIE_TOLERANCE) if known else math.nan
