"""The 95 % intervals cover the truth as often as docs/statistics.md, 4, promises."""

import numpy as np
import pytest

from tail_bench.stats.bootstrap import mean_interval

DATA_SETS, LADDERS, RESAMPLES = 2000, 60, 2000


def one_pair_with_ties(rng: np.random.Generator, accuracy: float) -> np.ndarray:
    """One pair a ladder: a tie in 20 of 100 (fewer where the accuracy leaves no room), with mean `accuracy`."""
    ties = min(0.2, 2 * (1 - accuracy))
    right = accuracy - ties / 2
    return rng.choice([1.0, 0.5, 0.0], p=[right, ties, 1 - right - ties], size=LADDERS)


def four_dependent_pairs(rng: np.random.Generator, accuracy: float) -> np.ndarray:
    """Per-ladder means of four pairs that share the ladder's own difficulty (beta-binomial, correlation 0.2)."""
    own = rng.beta(4 * accuracy, 4 * (1 - accuracy), size=LADDERS)
    return rng.binomial(4, own) / 4


def continuous(rng: np.random.Generator, accuracy: float) -> np.ndarray:
    """Sixty different values, as overconfidence has: more than there are strata."""
    return rng.beta(4 * accuracy, 4 * (1 - accuracy), size=LADDERS)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [one_pair_with_ties, four_dependent_pairs, continuous])
@pytest.mark.parametrize(
    ("accuracy", "least", "most"), [(0.5, 0.92, 0.98), (0.7, 0.92, 0.98), (0.9, 0.92, 0.98), (0.97, 0.90, 1.0)]
)
def test_intervals_cover(draw, accuracy, least, most):
    rng = np.random.default_rng(20260101)
    covered = 0
    for number in range(DATA_SETS):
        values = draw(rng, accuracy)
        interval = mean_interval(values, (0.0, 1.0), RESAMPLES, seed=number)
        covered += interval.low - 1e-12 <= accuracy <= interval.high + 1e-12
    assert least <= covered / DATA_SETS <= most
