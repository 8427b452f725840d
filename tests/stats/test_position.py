"""Position figures against closed forms and counts by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tail_bench.stats.figures import Intervals, clustered_mean
from tail_bench.stats.position import position

HOW = Intervals(True, 2000, 0)
OUTCOME = st.sampled_from([0.0, 0.5, 1.0, math.nan])


def test_always_the_first_is_never_consistent_and_a_fair_judge_always():
    first = position(["a", "a", "b"], [(1.0, 1.0)] * 3, HOW)
    assert (first.first_rate.value, first.consistency.value) == (1.0, 0.0)
    fair = position(["a", "a", "b"], [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)], HOW)
    assert (fair.first_rate.value, fair.consistency.value) == (0.5, 1.0)


def test_every_ladder_weighs_alike():
    found = position(["a", "a", "a", "b"], [(1.0, 1.0)] * 3 + [(0.0, 0.0)], HOW)
    assert found.first_rate.value == 0.5
    assert (found.first_rate.n_ladders, found.first_rate.n_pairs) == (2, 8)


@given(st.lists(st.tuples(st.sampled_from("abc"), OUTCOME, OUTCOME), max_size=12))
def test_the_figures_are_what_is_counted_by_hand(rows):
    found = position([i for i, _, _ in rows], [(x, y) for _, x, y in rows], Intervals(False, 0, 0))

    def by_hand(values):
        own = {}
        for ladder, value in values:
            if not math.isnan(value):
                own.setdefault(ladder, []).append(value)
        means = [sum(v) / len(v) for v in own.values()]
        return sum(means) / len(means) if means else math.nan

    rate = by_hand([(i, o) for i, x, y in rows for o in (x, y)])
    alike = by_hand([(i, float(x == 1 - y)) for i, x, y in rows if not math.isnan(x + y)])
    assert found.first_rate.value == pytest.approx(rate, nan_ok=True)
    assert found.consistency.value == pytest.approx(alike, nan_ok=True)


def test_without_anything_scored_a_figure_says_why():
    found = clustered_mean(["a"], [math.nan], (0.0, 1.0), HOW, "nothing was scored")
    assert math.isnan(found.value)
    assert found.reason == "nothing was scored"
