"""Pairs by id agree with the arrays that the statistics use, and what was shown first is read right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tail_bench.judgments import Answer, Judgment, Preference, Truth
from tail_bench.ladders.tail import TailSpec
from tail_bench.pairing import better_pairs, first_shown_wins, pairs_of, prefers

TIERS = st.sampled_from([None, "excellent", "great", "good", "poor"])


def truth(golds, tiers=None):
    k = len(golds)
    return Truth("l", tuple(f"r{i}" for i in range(k)), np.array(golds, float), tuple(tiers or [None] * k), np.zeros(k))


@given(st.lists(st.tuples(st.integers(0, 4), TIERS, st.one_of(st.none(), st.integers(0, 3))), min_size=2, max_size=6))
def test_pairs_by_id_are_the_pairs_of_the_statistics(rows):
    golds, tiers, scores = zip(*rows, strict=True)
    own = truth(golds, tiers)
    judgment = Judgment("l", {f"r{i}": None if s is None else float(s) for i, s in enumerate(scores)})
    table, _ = pairs_of([own], [judgment], TailSpec.parse("top_k:2"), 1.0)
    pairs = better_pairs(own, 1.0)
    assert len(pairs) == len(table.outcome)
    outcomes = [prefers(judgment, own)(i, j) for i, j in pairs]
    assert sorted(map(str, outcomes)) == sorted(str(float(o)) for o in table.outcome)


P = st.one_of(st.none(), st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))


@given(P, P)
def test_preferences_in_both_orders_are_read_the_same_as_by_the_statistics(p, q):
    own = truth([1, 0])
    judgment = Judgment("l", preferences=[Preference("r0", "r1", p), Preference("r1", "r0", q)])
    table, _ = pairs_of([own], [judgment], TailSpec.parse("top_k:2"), 0.0)
    assert str(prefers(judgment, own)("r0", "r1")) == str(float(table.outcome[0]))
    ((one, other),) = first_shown_wins(judgment).values()
    for outcome, said in ((one, p), (other, q)):
        assert math.isnan(outcome) if said is None else outcome == (0.5 if said == 0.5 else float(said > 0.5))


def test_a_ranking_is_read_pair_by_pair_and_one_response_at_a_time_has_no_first():
    answers = [
        Answer(("a", "b", "c"), ((1.0, 2.0, 3.0), (2.0, 1.0, 3.0))),  # of two votes the mean: a and b tie
        Answer(("c", "b", "a"), ((1.0, None, 2.0), None)),
    ]
    found = first_shown_wins(Judgment("l", {"a": 0.0, "b": 0.0, "c": 0.0}, answers=answers))
    assert found[frozenset("ac")] == (1.0, 1.0)
    assert found[frozenset("ab")][0] == 0.5
    assert math.isnan(found[frozenset("ab")][1])
    rated = [Answer(("a",), ((7.0,),)), Answer(("b",), ((8.0,),))]
    assert first_shown_wins(Judgment("l", {"a": 7.0, "b": 8.0}, answers=rated)) == {}


def test_a_pair_asked_about_in_one_order_only_says_nothing_of_position():
    assert first_shown_wins(Judgment("l", preferences=[Preference("a", "b", 1.0)])) == {}


@pytest.mark.parametrize("scores", [{"r0": 1.0, "r1": 1.0}, {"r0": None, "r1": 1.0}])
def test_ties_and_unscored(scores):
    expected = 0.5 if scores["r0"] is not None else math.nan
    found = prefers(Judgment("l", scores), truth([1, 0]))("r0", "r1")
    assert found == expected or (math.isnan(found) and math.isnan(expected))
