"""Reports: what they say of known graders, and that the same input gives the same bytes."""

import json
import math
import random

import pytest

import tail_bench
from tail_bench.judgments import read_scores
from tail_bench.ladders.load import load_dataset
from tail_bench.ladders.schema import Ladder
from tail_bench.reporting import report_gold, report_scores
from tests.helpers import ladder, write_jsonl

LADDERS = [Ladder.model_validate(ladder(n, k=5)) for n in range(30)]
KEYS = {"value", "ci_low", "ci_high", "n_ladders", "n_pairs", "method", "reason"}


def scored(f):
    return {x.id: {r.id: f(x, r) for r in x.responses} for x in LADDERS}


def noisy(seed):
    rng = random.Random(seed)
    return scored(lambda x, r: r.gold + rng.gauss(0, 1.5))


def test_the_json_document():
    report = tail_bench.report(LADDERS, noisy(1), tail="top_k:3", grader="noisy")
    document = json.loads(report.to_json(), parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert document["schema"] == "tail_bench.report/1"
    assert list(document["regions"]) == ["tail", "cross", "body", "all"]
    for region in document["regions"].values():
        assert set(region["accuracy"]) == KEYS
        assert set(region["calibration"]["fitted"]["overconfidence"]) == KEYS
        for name in ("accuracy", "strict_accuracy", "tie_rate", "unscored_rate"):
            assert region[name]["ci_low"] <= region[name]["value"] <= region[name]["ci_high"]
    assert document["tail_gap"]["against"] == "body"
    assert document["dataset"]["tail"] == "top_k:3"
    assert not {"forecast", "human"} & set(document)
    assert all(document[name] is None for name in ("bias", "verdicts", "rubric", "injection", "cost"))


def test_same_input_same_bytes_whatever_the_order():
    scores = noisy(2)
    shuffled = dict(random.Random(0).sample(list(scores.items()), len(scores)))
    first = tail_bench.report(LADDERS, scores, tail="top_k:3").to_json()
    assert tail_bench.report(LADDERS, scores, tail="top_k:3").to_json() == first
    assert tail_bench.report(LADDERS[::-1], shuffled, tail="top_k:3").to_json() == first


def test_the_signs_of_gap_and_overconfidence():
    """Right in the body and reversed in the tail: a gap of 1, too sure in the tail and not sure enough in the body."""
    report = tail_bench.report(LADDERS, scored(lambda x, r: -r.gold if r.gold > 2 else r.gold - 9), tail="top_k:3")
    assert report.regions["tail"].accuracy.value == 0
    assert report.regions["body"].accuracy.value == 1
    assert report.tail_gap.value == 1
    assert report.regions["tail"].calibration.fitted.overconfidence.value > 0.4
    assert report.regions["body"].calibration.fitted.overconfidence.value < 0


def test_pairs_that_were_never_asked_about_are_counted(tmp_path):
    records = [{"id": x.id, "preferences": [{"a": "r0", "b": "r1", "p_a": 1.0}]} for x in LADDERS]
    for r in records:
        r["preferences"] += [{"a": "r1", "b": i, "p_a": None} for i in ("r2", "r3", "r4")]
    data = write_jsonl(tmp_path / "data.jsonl", [x.model_dump() for x in LADDERS])
    report = report_scores(read_scores(write_jsonl(tmp_path / "p.jsonl", records)), load_dataset(data), "top_k:3")
    assert report.unscored.reasons == {"not asked": 30 * 6, "null in the score file": 30 * 3}
    assert report.unscored.of == 30 * 10


@pytest.mark.parametrize(
    ("ladders", "scores", "said"),
    [
        ([], {}, "there are no ladders"),
        (LADDERS[:1] * 2, {"ladder-000": [1, 2, 3, 4, 5]}, "a ladder is there twice"),
        (LADDERS[:1], [1, 2], "scores must be a mapping"),
        (LADDERS[:1], {"ladder-000": 1.0}, "must map response ids to numbers, or list them, is 1.0"),
        (LADDERS[:1], {"ladder-000": None}, "must map response ids"),
        (LADDERS[:1], {"ladder-000": "12345"}, "must map response ids"),
    ],
)
def test_wrong_calls_from_python(ladders, scores, said):
    with pytest.raises(tail_bench.InputError, match=said):
        tail_bench.report(ladders, scores)


def test_integer_ids_from_python():
    ladders = [Ladder.model_validate(ladder(1, id=7, responses=[{"id": i, "text": "t", "gold": i} for i in range(3)]))]
    report = tail_bench.report(ladders, {7: {0: 0.0, 1: 1.0, 2: 2.0}})
    assert report.regions["all"].accuracy.value == 1


def test_the_order_does_not_show_in_what_is_unscored():
    scores = scored(lambda x, r: None if r.id == "r1" else r.gold)
    backwards = {i: dict(reversed(own.items())) for i, own in reversed(scores.items())}
    assert tail_bench.report(LADDERS, scores).to_json() == tail_bench.report(LADDERS, backwards).to_json()


def test_perfect_reversed_constant_and_silent_graders():
    for f, accuracy, ties in ((lambda x, r: r.gold, 1, 0), (lambda x, r: -r.gold, 0, 0), (lambda x, r: 7, 0.5, 1)):
        report = tail_bench.report(LADDERS, scored(f), tail="top_k:3")
        for region in report.regions.values():
            assert (region.accuracy.value, region.tie_rate.value) == (accuracy, ties)
            assert region.accuracy.method == "all-equal"
        assert report.tail_gap.value == 0
    silent = tail_bench.report(LADDERS, scored(lambda x, r: None), tail="top_k:3")
    assert silent.unscored.count == silent.unscored.of == 150
    assert silent.regions["tail"].accuracy.value == 0
    assert silent.regions["tail"].tie_rate.value is None
    assert silent.regions["tail"].calibration.fitted.overconfidence.reason == "too few scored ladders to cross-fit"


def test_one_ladder_has_no_interval():
    report = tail_bench.report(LADDERS[:1], {"ladder-000": [5, 4, 3, 2, 1]})
    accuracy = report.regions["all"].accuracy
    assert (accuracy.value, accuracy.ci_low, accuracy.method, accuracy.reason) == (
        1,
        None,
        None,
        "one ladder: no interval",
    )


def test_without_intervals_the_values_are_the_same():
    full, quick = (tail_bench.report(LADDERS, noisy(3), tail="top_k:3", intervals=i) for i in (True, False))
    for name, region in full.regions.items():
        assert quick.regions[name].accuracy.value == region.accuracy.value
        assert quick.regions[name].accuracy.ci_low is None


def test_preferences_are_reported_as_scores_are(tmp_path):
    """A judge whose every preference follows a score has the score's accuracies."""
    scores = noisy(4)
    records = []
    for i, own in scores.items():
        p = [{"a": a, "b": b, "p_a": 1 / (1 + math.exp(own[b] - own[a]))} for a in own for b in own if a != b]
        records.append({"id": i, "preferences": p})
    data = write_jsonl(tmp_path / "data.jsonl", [x.model_dump() for x in LADDERS])
    judge = report_scores(read_scores(write_jsonl(tmp_path / "p.jsonl", records)), load_dataset(data), "top_k:3")
    reward = tail_bench.report(LADDERS, scores, tail="top_k:3")
    for name, region in judge.regions.items():
        assert region.accuracy == reward.regions[name].accuracy
        assert region.calibration.fitted.overconfidence.value == pytest.approx(
            reward.regions[name].calibration.fitted.overconfidence.value, abs=1e-5
        )
    assert judge.unscored.unit == "pairs"


def test_gold_files_are_data_sets(tmp_path):
    """The same golds as a data set and as a gold file give the same figures."""
    scores = noisy(5)
    proxy = [{"header": {"model": "proxy", "dtype": "float32"}}, *({"id": i, "scores": s} for i, s in scores.items())]
    gold = [{"id": x.id, "scores": {r.id: r.gold for r in x.responses}} for x in LADDERS]
    proxy_file = read_scores(write_jsonl(tmp_path / "proxy.jsonl", proxy))
    found = report_gold(proxy_file, read_scores(write_jsonl(tmp_path / "gold.jsonl", gold)), "top_fraction:0.5")
    expected = tail_bench.report(LADDERS, scores, tail="top_fraction:0.5")
    assert found.regions == expected.regions
    assert found.grader.model_extra == {
        "model": "proxy",
        "dtype": "float32",
        "gold": {"name": "gold", "kind": "scores"},
    }
    assert found.grader.name == "proxy"
    assert found.dataset.name == "gold"


def test_missing_golds_are_said(tmp_path):
    gold = [{"id": "a", "scores": {"x": 1, "y": None, "z": 2}}, {"id": "b", "scores": {"x": 1, "y": None, "z": None}}]
    proxy = [{"id": i, "scores": {"x": 1.0, "y": 5.0, "z": 3.0}} for i in "ab"]
    gold_file = read_scores(write_jsonl(tmp_path / "gold.jsonl", gold))
    found = report_gold(read_scores(write_jsonl(tmp_path / "proxy.jsonl", proxy)), gold_file)
    assert found.regions["tail"].accuracy.value == 1
    assert found.warnings[-2:] == [
        "3 responses have no gold in gold.jsonl: they take no part",
        "1 ladders have fewer than two golds: they take no part",
    ]
    del proxy[0]["scores"]["x"]
    with pytest.raises(tail_bench.InputError, match=r"1 responses have no score .*: a / x"):
        report_gold(read_scores(write_jsonl(tmp_path / "proxy.jsonl", proxy)), gold_file)


def squash(scale):
    return scored(lambda x, r: float(f"{1 / (1 + math.exp(-(scale + 4 * r.gold))):.16g}"))


@pytest.mark.parametrize(
    ("scores", "warned"),
    [
        (squash(30), True),  # a sigmoid left on: 1.0 at the top
        (scored(lambda x, r: 1.0), True),  # a softmax over one logit
        (squash(0), False),  # in [0, 1] without ties
        (scored(lambda x, r: float(r.gold > 2)), False),  # pass or fail
        (scored(lambda x, r: 0.0), False),
        (scored(lambda x, r: round(r.gold)), False),
        (scored(lambda x, r: None), False),
    ],
)
def test_an_activation_left_on_is_warned_of(scores, warned):
    report = tail_bench.report(LADDERS, scores, tail="top_k:3")
    assert any("activation" in w for w in report.warnings) == warned


def test_a_tail_that_takes_in_everything_is_said():
    report = tail_bench.report(LADDERS, noisy(6), tail="top_k:9")
    assert report.warnings == ["every pair lies in the tail: there is nothing below it to compare the tail with"]


@pytest.mark.parametrize("tail", ["tiers:excellent,great", "threshold:99", "top_k:1"])
def test_a_tail_that_no_ladder_has(tail):
    with pytest.raises(tail_bench.InputError):
        tail_bench.report(LADDERS, noisy(7), tail=tail)


def test_min_margin():
    report = tail_bench.report(LADDERS, noisy(8), tail="top_k:3", min_margin=2)
    assert report.regions["tail"].accuracy.n_pairs == 30  # 5 over 3 only
    assert report.dataset.min_margin == 2


def test_few_ladders_are_too_few_for_words():
    from tail_bench.render import in_words

    def said(n):
        return str(
            in_words(tail_bench.report(LADDERS[:n], {x.id: scored(lambda x, r: r.gold)[x.id] for x in LADDERS[:n]}))
        )

    assert "on 4 ladders: too few to say more" in said(4)
    assert "Tail gap" not in said(4)
    assert "too few" not in said(5)
