"""Regions and accuracies against plain loops: ties, unscored responses, equal tiers, all five tails, K from 2 to 40."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tail_bench.judgments import Judgment, Preference, as_judgments, truths_of
from tail_bench.ladders.schema import Ladder
from tail_bench.ladders.tail import TailSpec
from tail_bench.pairing import pairs_of
from tail_bench.stats.calibration import folds_of
from tail_bench.stats.figures import figures
from tests.stats import reference

golds = st.one_of(
    st.integers(0, 4).map(float),
    st.sampled_from([0.1 + 0.2, 0.3, 2 / 3, 0.6666666666666667, 1 - 1e-12]),
    st.floats(-1e6, 1e6),
)
tiers = st.sampled_from([None, *reference.TIERS])
scores = st.one_of(st.none(), st.just(math.nan), st.integers(-2, 2).map(float), st.floats(-1e300, 1e300))
tails = st.one_of(
    st.lists(st.sampled_from(reference.TIERS), min_size=1, unique=True).map(lambda t: ("tiers", t)),
    st.integers(2, 6).map(lambda k: ("top_k", k)),
    st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 1.0]).map(lambda q: ("top_fraction", q)),
    golds.map(lambda t: ("threshold", t)),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9, 1.0]).map(lambda q: ("quantile", q)),
)
margins = st.sampled_from([0.0, 0.5, 1.0, 1.5])


def ladder_of(k):
    return st.tuples(
        st.lists(golds, min_size=k, max_size=k),
        st.lists(tiers, min_size=k, max_size=k),
        st.lists(scores, min_size=k, max_size=k),
    )


sizes = st.one_of(st.integers(2, 8), st.integers(2, 40))
data_sets = st.lists(sizes.flatmap(ladder_of), min_size=1, max_size=6)


def records(data):
    return [
        Ladder.model_validate(
            {
                "id": f"ladder {n:03}",
                "prompt": "p",
                "responses": [
                    {"id": str(i), "text": "t", "gold": g, "tier": t}
                    for i, (g, t) in enumerate(zip(own, own_tiers, strict=True))
                ],
            }
        )
        for n, (own, own_tiers, _) in enumerate(data)
    ]


def spec(kind, value):
    return TailSpec("tiers", tiers=tuple(value)) if kind == "tiers" else TailSpec(kind, float(value))


def assert_same(truths, judgments, data, tail, min_margin, credit):
    pairs, ids = pairs_of(truths, judgments, spec(*tail), min_margin)
    found = figures(pairs, folds_of(ids), intervals=False)
    expected = reference.region_figures(data, *tail, min_margin, credit)
    for region, own in expected.items():
        for name, (value, n_ladders, n_pairs) in own.items():
            figure = getattr(found.regions[region], name)
            assert (figure.n_ladders, figure.n_pairs) == (n_ladders, n_pairs), (region, name)
            assert math.isnan(figure.value) if value is None else figure.value == pytest.approx(value, abs=1e-12), (
                region,
                name,
            )


@settings(max_examples=400, deadline=None)
@given(data_sets, tails, margins)
def test_scores_as_in_plain_loops(data, tail, min_margin):
    truths = truths_of(records(data))
    judgments = as_judgments({t.ladder: own for t, (_, _, own) in zip(truths, data, strict=True)}, truths)
    assert_same(truths, judgments, data, tail, min_margin, reference.credit_of_scores)


@st.composite
def preference_data(draw):
    data = []
    for own_golds, own_tiers, _ in draw(st.lists(st.integers(2, 6).flatmap(ladder_of), min_size=1, max_size=5)):
        k = len(own_golds)
        places = st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)).filter(lambda ab: ab[0] != ab[1])
        p = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.5 + 1e-12, 1.0]), st.floats(0, 1))
        data.append(
            (own_golds, own_tiers, [(a, b, x) for (a, b), x in draw(st.lists(st.tuples(places, p), max_size=30))])
        )
    return data


@settings(max_examples=300, deadline=None)
@given(preference_data(), tails, margins)
def test_preferences_as_in_plain_loops(data, tail, min_margin):
    truths = truths_of(records(data))
    judgments = [
        Judgment(t.ladder, preferences=[Preference(str(a), str(b), p) for a, b, p in said])
        for t, (_, _, said) in zip(truths, data, strict=True)
    ]
    assert_same(truths, judgments, data, tail, min_margin, reference.credit_of_preferences)


@settings(max_examples=100, deadline=None)
@given(data_sets, tails)
def test_what_must_hold_of_any_grader(data, tail):
    truths = truths_of(records(data))
    judge = {t.ladder: dict(zip(t.responses, t.golds.tolist(), strict=True)) for t in truths}

    def found(scores):
        pairs, ids = pairs_of(truths, as_judgments(scores, truths), spec(*tail), 0.0)
        return figures(pairs, folds_of(ids), intervals=False)

    oracle, constant = found(judge), found({t: dict.fromkeys(own, 7.0) for t, own in judge.items()})
    nothing = found({t: dict.fromkeys(own) for t, own in judge.items()})
    for region in ("tail", "cross", "body", "all"):
        if oracle.regions[region].accuracy.n_ladders:
            assert oracle.regions[region].strict_accuracy.value == 1
            assert constant.regions[region].accuracy.value == 0.5
            assert constant.regions[region].strict_accuracy.value == 0
            assert constant.regions[region].tie_rate.value == 1
            assert nothing.regions[region].accuracy.value == 0
            assert nothing.regions[region].unscored_rate.value == 1
            assert math.isnan(nothing.regions[region].tie_rate.value)
    if not math.isnan(constant.tail_gap.value):
        assert constant.tail_gap.value == 0


def test_epochs_are_one_cluster():
    data = [([1.0, 0.0], [None, None], None), ([1.0, 0.0], [None, None], None)]
    truths = truths_of(records(data))
    said = [Judgment("ladder 000", {"0": 1.0, "1": 0.0}), Judgment("ladder 000", {"0": 0.0, "1": 1.0})]
    pairs, ids = pairs_of(truths, [*said, Judgment("ladder 001", {"0": 1.0, "1": 0.0})], TailSpec("top_k", 2), 0.0)
    accuracy = figures(pairs, folds_of(ids), intervals=False).regions["tail"].accuracy
    assert (accuracy.value, accuracy.n_ladders, accuracy.n_pairs) == (0.75, 2, 3)
