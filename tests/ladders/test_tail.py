"""TailSpec: its text forms, and the quantile tail against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tail_bench.errors import InputError
from tail_bench.ladders.tail import TailSpec, default_tail, gold_ranks


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("tiers:great,excellent", "tiers:excellent,great"),
        (["tiers:excellent", "great"], "tiers:excellent,great"),
        ("tiers: excellent , great", "tiers:excellent,great"),
        ("top_k:2", "top_k:2"),
        ("top_k:3.0", "top_k:3"),
        ("top_fraction:0.25", "top_fraction:0.25"),
        ("threshold:-4", "threshold:-4"),
        ("quantile:1", "quantile:1"),
        (" threshold:1234567890123.4 ", "threshold:1234567890123.4"),
        ("top_fraction:1e-05", "top_fraction:1e-05"),
    ],
)
def test_forms(text, normal):
    spec = TailSpec.parse(text)
    assert str(spec) == normal
    assert TailSpec.parse(normal) == spec == TailSpec.parse(spec)


WRONG = """top top_k top_k: top_k:1 top_k:2.5 top_k:nan top_k:two top_fraction:0 top_fraction:1.1 threshold:inf
quantile:-0.1 quantile:75 tiers: tiers:superb best:2""".split()


@pytest.mark.parametrize("text", ["", 2, True, None, {"top_k": 2}, *WRONG])
def test_wrong_forms_say_what_is_right(text):
    with pytest.raises(InputError) as error:
        TailSpec.parse(text)
    assert repr(str(text)) in str(error.value)
    assert any(word in str(error.value) for word in ("must be", "the forms are", "tiers are"))


def test_default():
    assert default_tail([None, "great"]) == "tiers:excellent,great"
    assert default_tail([None, None]) == "top_k:2"


@given(
    st.lists(st.one_of(st.integers(0, 5).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 1.0])),
)
def test_quantile_is_numpys(golds, q):
    values = np.array(golds)
    members = TailSpec("quantile", q).members(values, [None] * len(golds), gold_ranks(values))
    edge = np.quantile(values, q)
    sure = np.abs(values - edge) > 1e-6 + 1e-9 * np.ptp(values)  # at the edge itself numpy's own rounding decides
    assert (members[sure] == (values >= edge)[sure]).all()


def test_ties_at_the_edge_are_all_in():
    golds = np.array([3.0, 2.0, 2.0, 2.0, 1.0])
    assert TailSpec.parse("top_k:2").members(golds, [None] * 5, golds).tolist() == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("q", "k", "n"), [(0.25, 2, 4), (0.25, 2, 8), (0.25, 3, 9), (0.1, 7, 64), (0.3, 3, 10), (1.0, 5, 5)]
)
def test_top_fraction(q, k, n):
    members = TailSpec("top_fraction", q).members(np.arange(float(n)), [None] * n, np.zeros(n))
    assert members.sum() == k
