"""The embedded data set is what its sources, checks and promises say."""

import json

import numpy as np
import pytest

from tail_bench.ladders import build
from tail_bench.ladders.checks import DOMAINS, run_check
from tail_bench.ladders.load import EMBEDDED, EMBEDDED_VERSION, fingerprint, load_dataset
from tail_bench.stats.bootstrap import mean_interval

DATA = load_dataset("ladders")


def test_the_file_is_what_the_build_writes():
    assert EMBEDDED.read_text(encoding="utf-8") == "".join(map(build.as_line, build.built()))


def test_one_ladder_a_domain_and_the_card_says_so():
    assert sorted(ladder.domain for ladder in DATA.ladders) == sorted(DOMAINS)
    card = (EMBEDDED.parent / "README.md").read_text(encoding="utf-8")
    assert DATA.fingerprint == fingerprint(DATA.ladders)
    assert DATA.fingerprint in card
    assert f"version {EMBEDDED_VERSION}" in card
    assert all(ladder.canary == build.CANARY and ladder.split == "public" for ladder in DATA.ladders)
    assert build.CANARY.split(":")[0] in card


@pytest.mark.parametrize("ladder", DATA.ladders, ids=lambda ladder: ladder.id)
def test_tiers_follow_from_the_checks(ladder):
    """Recomputed here from the published file alone."""
    total = sum(c.weight for c in ladder.checks)
    for r in ladder.responses:
        failed = [c for c in ladder.checks if not run_check(c, r.text).passed]
        assert r.defects == [c.defect for c in failed]
        assert r.gold == pytest.approx(1 - sum(c.weight for c in failed) / total, abs=1e-4)
        least, most = {"excellent": (0, 0), "great": (1, 1), "good": (2, 3), "poor": (len(ladder.checks) / 2, 99)}[
            r.tier
        ]
        assert least <= len(failed) <= most
        assert 60 <= len(r.text.split()) <= 350
    assert 4 <= len(ladder.rubric) <= 8
    assert len(ladder.checks) >= 7
    build.check_shape(ladder)


def test_surface_cues_do_not_tell_excellent_from_great():
    per_ladder = [build.cue_accuracies(ladder) for ladder in DATA.ladders]
    for cue in build.CUES:
        values = np.array([own[cue] for own in per_ladder])
        interval = mean_interval(values, (0.0, 1.0))
        assert interval.low <= 0.5 <= interval.high, cue
    assert {own["characters"] for own in per_ladder} == {0.5}


def test_no_two_responses_or_prompts_are_the_same():
    assert len({json.dumps(x.model_dump()["prompt"]) for x in DATA.ladders}) == len(DATA.ladders)
    texts = [r.text for x in DATA.ladders for r in x.responses]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("failed", "of", "tier"),
    [(0, 7, "excellent"), (1, 7, "great"), (2, 7, "good"), (3, 7, "good"), (4, 7, "poor"), (7, 7, "poor")],
)
def test_tier_of(failed, of, tier):
    assert build.tier_of(failed, of) == tier


@pytest.mark.parametrize(("failed", "of"), [(4, 9), (3, 6)])
def test_between_good_and_poor_is_refused(failed, of):
    with pytest.raises(ValueError, match="neither good"):
        build.tier_of(failed, of)


@pytest.mark.parametrize("drop", ["excellent", "great", "good", "poor"])
def test_a_ladder_without_a_tier_is_refused(drop):
    ladder = DATA.ladders[0].model_copy(deep=True)
    ladder.responses = [r for r in ladder.responses if r.tier != drop]
    with pytest.raises(ValueError, match=f"0 {drop} responses"):
        build.check_shape(ladder)


def test_great_responses_of_unequal_gold_are_refused():
    ladder = DATA.ladders[0].model_copy(deep=True)
    next(r for r in ladder.responses if r.tier == "great").gold += 0.01
    with pytest.raises(ValueError, match="different weight"):
        build.check_shape(ladder)
    ladder = DATA.ladders[0].model_copy(deep=True)
    next(r for r in ladder.responses if r.tier == "good").gold = 0.99
    with pytest.raises(ValueError, match="does not fall"):
        build.check_shape(ladder)
