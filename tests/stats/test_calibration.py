"""The fitted probability: its temperature against scipy's minimiser, and graders whose calibration is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit

from tail_bench.stats.calibration import FOLDS, fitted_confidence, folds_of

IDS = [f"ladder {n}" for n in range(400)]


def bradley_terry(rng, n_ladders, n_pairs, temperature):
    """Margins of a grader that is right with probability sigmoid(|margin| / temperature)."""
    size = rng.exponential(2.0, size=n_ladders * n_pairs)
    right = rng.random(len(size)) < expit(size / temperature)
    return np.where(right, size, -size), np.repeat(np.arange(n_ladders, dtype=np.int32), n_pairs)


def test_temperature_minimises_the_log_loss_of_the_other_folds():
    rng = np.random.default_rng(0)
    margin, cluster = bradley_terry(rng, 400, 3, 1.7)
    keep = rng.random(len(margin)) < 0.8  # ladders of unequal size still weigh 1 each
    margin, cluster = margin[keep], cluster[keep]
    folds = folds_of(IDS)
    found = fitted_confidence(margin, cluster, folds)
    assert found is not None
    weight = 1 / np.bincount(cluster, minlength=400)[cluster]
    for fold in range(FOLDS):
        others = folds[cluster] != fold

        def loss(log_t, others=others):
            return weight[others] @ np.logaddexp(0, -margin[others] / np.exp(log_t))

        best = np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}).x)
        assert found.temperatures[fold] == pytest.approx(best, rel=1e-5)
        own = folds[cluster] == fold
        assert found.confidence[own] == pytest.approx(expit(np.abs(margin[own]) / found.temperatures[fold]))


def test_a_calibrated_grader_is_not_overconfident_at_any_scale():
    for scale in (1e-8, 1.0, 1e8):
        margin, cluster = bradley_terry(np.random.default_rng(1), 400, 25, 1.0)
        found = fitted_confidence(margin * scale, cluster, folds_of(IDS))
        assert found is not None
        assert not any(found.at_bound)
        assert np.mean(found.temperatures) == pytest.approx(scale, rel=0.05)
        assert np.mean(found.confidence) - np.mean(margin > 0) == pytest.approx(0, abs=0.01)


@given(st.lists(st.floats(-1e300, 1e300), min_size=10, max_size=10), st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_confidence_does_not_depend_on_the_scale(margins, scale):
    cluster = np.arange(10, dtype=np.int32)
    folds = folds_of(IDS[:10])
    one = fitted_confidence(np.array(margins) / 1e5, cluster, folds)
    other = fitted_confidence(np.array(margins) / 1e5 * scale, cluster, folds)
    assert one is not None
    assert other is not None
    assert one.confidence == pytest.approx(other.confidence, abs=1e-6)
    assert ((one.confidence >= 0.5) & (one.confidence <= 1)).all()


def test_a_perfect_grader_hits_the_lower_bound_and_a_reversed_one_the_upper():
    cluster = np.arange(400, dtype=np.int32)
    sizes = np.random.default_rng(2).exponential(1, 400)
    perfect = fitted_confidence(sizes, cluster, folds_of(IDS))
    reversed_ = fitted_confidence(-sizes, cluster, folds_of(IDS))
    assert perfect is not None
    assert reversed_ is not None
    assert all(perfect.at_bound)
    assert all(reversed_.at_bound)
    assert perfect.temperatures == pytest.approx([1e-3 * np.median(sizes)] * FOLDS)
    assert reversed_.temperatures == pytest.approx([1e3 * np.median(sizes)] * FOLDS)
    assert reversed_.confidence == pytest.approx(np.full(400, 0.5), abs=0.01)


def test_all_tied_gives_even_odds_and_unscored_stay_out():
    margin = np.array([0.0, np.nan, 0.0, 0.0] * 100)
    found = fitted_confidence(margin, np.arange(400, dtype=np.int32), folds_of(IDS))
    assert found is not None
    assert np.isnan(found.confidence[1::4]).all()
    assert set(found.confidence[~np.isnan(margin)]) == {0.5}


def test_nothing_to_fit_on():
    assert fitted_confidence(np.ones(3), np.zeros(3, np.int32), folds_of(IDS[:1])) is None
    assert fitted_confidence(np.full(3, np.nan), np.arange(3, dtype=np.int32), folds_of(IDS[:3])) is None


def test_folds_are_stable():
    folds = folds_of(IDS)
    assert (folds == folds_of(IDS[::-1])[::-1]).all()
    assert folds[:8].tolist() == [0, 1, 0, 3, 1, 1, 1, 1]  # a change would move published figures
    assert np.bincount(folds, minlength=FOLDS).min() > 50
