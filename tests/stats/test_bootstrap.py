"""Intervals against scipy's, closed forms, and what must hold of any interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tail_bench.stats.bootstrap import all_equal_interval, mean_interval, resampled_means

SHARE = (0.0, 1.0)


def columns(kind, n, rng):
    return {
        "one pair a ladder": rng.choice([1.0, 0.5, 0.0], p=[0.6, 0.2, 0.2], size=n),
        "six pairs a ladder": rng.binomial(6, rng.beta(4, 2, size=n)) / 6,
        "continuous": rng.beta(5, 1, size=n),
        "rare": (rng.random(n) < 0.05).astype(float),
    }[kind]


@pytest.mark.parametrize("kind", ["one pair a ladder", "six pairs a ladder", "continuous", "rare"])
@pytest.mark.parametrize("n", [25, 60, 400])
def test_agrees_with_scipy_bca(kind, n):
    values = columns(kind, n, np.random.default_rng(n))
    found = mean_interval(values, SHARE)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1))
    # Two independent bootstraps: the ends of a discrete mean differ by a step, the rest is Monte-Carlo error.
    tolerance = 0.06 * values.std() + 0.5 / n
    assert found.method == "bca"
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)


def test_strata_are_the_bootstrap():
    """Resampled means from strata against those of ladders drawn one by one: same centre, width, skew and quantiles."""
    rng = np.random.default_rng(3)
    for values in (rng.beta(6, 1, 300), np.r_[rng.normal(0, 0.01, 299), 5.0], rng.pareto(2.5, 300)):
        drawn = values[rng.integers(0, 300, size=(40_000, 300))].mean(axis=1)
        found = resampled_means(values, 40_000, seed=0)
        assert found.mean() == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 200)
        assert found.std() == pytest.approx(drawn.std(), rel=0.02)
        assert stats.skew(found) == pytest.approx(stats.skew(drawn), abs=0.1)
        assert stats.ks_2samp(found, drawn).pvalue > 1e-3


def test_same_seed_same_interval():
    values = np.random.default_rng(3).random(200)
    assert mean_interval(values, SHARE) == mean_interval(values, SHARE)
    assert mean_interval(values, SHARE) != mean_interval(values, SHARE, seed=1)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_interval_holds_the_estimate_and_stays_on_the_scale(own):
    found = mean_interval(np.array(own), SHARE, resamples=500)
    assert -1e-12 <= found.low <= np.mean(own) + 1e-9
    assert np.mean(own) - 1e-9 <= found.high <= 1 + 1e-12
    assert found.low < found.high


@pytest.mark.parametrize("n", [2, 10, 60])
def test_all_equal_at_an_end_is_clopper_pearson(n):
    exact = stats.binomtest(n, n).proportion_ci(0.95, "exact")
    found = all_equal_interval(1.0, n, SHARE)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    exact = stats.binomtest(0, n).proportion_ci(0.95, "exact")
    found = all_equal_interval(0.0, n, SHARE)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_all_equal_inside_the_scale():
    found = mean_interval(np.zeros(10), (-1.0, 1.0))
    pi = 1 - 0.025**0.1
    assert found.method == "all-equal"
    assert (found.low, found.high) == pytest.approx((-pi, pi))


def test_one_ladder_has_no_interval():
    found = mean_interval(np.array([0.7]), SHARE)
    assert found.method == "none"
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_percentile_where_bca_is_undefined():
    # With few resamples of a rare event it happens that none lies below the estimate: then z0 is infinite.
    rare = np.array([0.0] * 59 + [1.0])
    methods = {mean_interval(rare, SHARE, resamples=2, seed=s).method for s in range(40)}
    assert "percentile" in methods
