"""What a log says is validated: it may come from a stranger."""

from __future__ import annotations

import copy
import math

import pytest
from pydantic import ValidationError

from tail_bench.records import ScoreRecord

GOOD = {
    "ladder": "l",
    "responses": ["a", "b"],
    "golds": [1.0, 0.0],
    "tiers": [None, None],
    "gold_ranks": [1.0, 0.0],
    "tail": "top_k:2",
    "min_margin": 0.0,
    "planted": "b",
    "judgment": {
        "scores": {"a": 1.0, "b": None},
        "calls": 2,
        "answers": [{"about": ["a"], "votes": [[1.0], None], "masses": [0.9, None], "p_source": "logprobs"}],
        "checked": {"criteria": ["good"], "weights": [1.0], "met": {"a": [1.0], "b": [None]}},
    },
}


def test_a_record_of_ours_is_read():
    said = ScoreRecord.model_validate(GOOD).said()
    assert said.answers[0].votes == ((1.0,), None)
    assert said.checked.met == {"a": (1.0,), "b": (None,)}
    assert said.planted == "b"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("planted",), "c"),
        (("judgment", "calls"), 10**400),
        (("judgment", "calls"), -1),
        (("judgment", "answers", 0, "about"), ["c"]),
        (("judgment", "answers", 0, "masses"), [5.0]),
        (("judgment", "answers", 0, "votes"), [[math.inf]]),
        (("judgment", "answers", 0, "p_source"), "guess"),
        (("judgment", "checked", "met"), {"a": [1e308], "b": [None]}),
        (("judgment", "checked", "met"), {"c": [1.0]}),
        (("judgment", "checked", "met"), {"a": [1.0, 1.0]}),
        (("judgment", "checked", "weights"), [math.nan]),
        (("judgment", "checked", "weights"), [1.0, 2.0]),
    ],
)
def test_what_cannot_be_is_refused(path, value):
    record = copy.deepcopy(GOOD)
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        ScoreRecord.model_validate(record)
