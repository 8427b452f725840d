"""Planted verdicts: which response carries one, and that nothing else of a ladder changes."""

import pytest

from tail_bench.graders.plants import PLANTS, planted
from tail_bench.ladders.schema import Ladder
from tests.helpers import ladder

TIERS = ("excellent", "excellent", "great", "great", "good", "poor")


def ladder_of(number=1, golds=(6, 5, 4, 3, 2, 1), tiers=TIERS):
    record = ladder(number, k=len(golds))
    for response, gold, tier in zip(record["responses"], golds, tiers, strict=True):
        response |= {"gold": gold, "tier": tier, "generator": "someone"}
    return Ladder.model_validate(record)


def without_tiers(*golds):
    return ladder_of(golds=golds, tiers=[None] * len(golds))


def test_one_great_response_ends_with_a_plant_and_all_else_stays():
    before = ladder_of()
    original = before.model_dump()
    after, chosen = planted(before, 0)
    assert before.model_dump() == original
    (place,) = [n for n, r in enumerate(before.responses) if r.id == chosen]
    assert before.responses[place].tier == "great"
    text = after.responses[place].text
    assert text in [f"{before.responses[place].text}\n\n{plant}" for plant in PLANTS]
    original["responses"][place]["text"] = text
    assert after.model_dump() == original


def test_the_seed_and_the_ladder_decide():
    def chosen(seed):
        return [planted(ladder_of(n), seed) for n in range(40)]

    assert chosen(0) == chosen(0) != chosen(1)
    assert {i for _, i in chosen(0)} == {"r2", "r3"}
    ends = [next(r.text for r in after.responses if r.id == i) for after, i in chosen(0)]
    assert {plant for plant in PLANTS if any(text.endswith(plant) for text in ends)} == set(PLANTS)


def test_the_order_of_the_responses_does_not_matter():
    forward = ladder_of()
    backward = forward.model_copy(update={"responses": forward.responses[::-1]})
    (one, chosen), (other, chosen_too) = planted(forward, 3), planted(backward, 3)
    assert chosen == chosen_too
    assert one.responses == other.responses[::-1]


def test_without_tiers_it_is_one_with_the_second_highest_gold():
    assert planted(without_tiers(1, 4, 3, 2), 0)[1] == "r2"
    assert {planted(without_tiers(4, 4, 3, 3, 2), seed)[1] for seed in range(20)} == {"r2", "r3"}


@pytest.mark.parametrize(
    "nowhere",
    [
        without_tiers(2, 2, 2),
        ladder_of(golds=(4, 3, 2), tiers=("excellent", "excellent", "good")),
        ladder_of(golds=(4, 4, 2), tiers=("great", "great", "good")),  # nothing is better than they are
        ladder_of(golds=(4, 3, 2), tiers=("excellent", None, None)),
    ],
)
def test_none_where_no_great_response_has_a_better_one(nowhere):
    assert planted(nowhere, 0) is None
