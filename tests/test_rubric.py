"""tail_rubric run in process against scripted verifiers: what is asked, how scores come about, what the report says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import get_model

from tail_bench.graders.rubric import score_of
from tail_bench.ladders.load import load
from tail_bench.logs import report_log
from tail_bench.tasks import tail_rubric
from tests.helpers import ladder, run, unit, within, write_jsonl
from tests.loopback import completion, error, judged_by, question, quoted, serving

CRITERIA = [
    {"criterion": "Is short.", "weight": 3},
    {"criterion": "Answers.", "weight": 1},
    {"criterion": "Rambles.", "weight": -2},
]


@pytest.fixture
def rated(tmp_path):
    """Three ladders with a rubric that falls with gold: r0 is short, r3 rambles, all answer."""
    return str(write_jsonl(tmp_path / "rated.jsonl", [ladder(n, rubric=CRITERIA) for n in range(3)]))


def meets(text: str, criterion: str) -> bool:
    words = text.split().count("more")
    return {"Is short.": words <= 1, "Answers.": True, "Rambles.": words >= 4}[criterion]


def by_criterion(request) -> dict:
    criterion = question(request).split("Criterion: ")[1].splitlines()[0]
    return completion("yes" if meets(quoted(request)["response"], criterion) else "no")


def together(request, leave_out=()) -> dict:
    text = quoted(request)["response"]
    said = {str(n): "yes" if meets(text, c["criterion"]) else "no" for n, c in enumerate(CRITERIA, 1)}
    return completion("```json\n" + json.dumps({n: v for n, v in said.items() if n not in leave_out}) + "\n```")


SCORES = {"r0": 1.0, "r1": 0.25, "r2": 0.25, "r3": 0.0}  # (3 + 1) / 4, 1 / 4, 1 / 4, (1 - 2) / 4 clipped


def scores(log, ladder=0):
    return log.samples[ladder].scores["ladder_scorer"].metadata["judgment"]["scores"]


@pytest.mark.parametrize(("verify", "answer", "calls"), [("each", by_criterion, 12), ("together", together, 4)])
def test_the_score_is_the_weighted_share_of_criteria_met(rated, tmp_path, verify, answer, calls):
    log, requests = judged_by(answer, tail_rubric(rated, verify=verify, tail="top_k:3"), tmp_path)
    assert len(requests) == 3 * calls
    assert scores(log) == SCORES
    report = report_log(log.location)
    assert report.regions["tail"].accuracy.value == pytest.approx(2.5 / 3, abs=1e-6)
    short, answers, rambles = sorted(report.rubric.criteria, key=lambda c: -c.weight)
    assert (short.criterion, short.n_ladders) == ("Is short.", 3)
    assert (short.pass_rate, answers.pass_rate, rambles.pass_rate) == pytest.approx((1 / 3, 1, 0), abs=1e-6)
    assert (short.saturated, answers.saturated, rambles.saturated) == (0, 1, 1)
    assert (short.discrimination, answers.discrimination) == pytest.approx((2 / 3, 0), abs=1e-6)
    everything = report_log(log.location, tail="top_k:4").rubric.criteria
    assert next(c for c in everything if c.weight < 0).discrimination == pytest.approx(0.5)  # r3 rambles: that tells
    assert report.rubric.unanswered_rate.value == 0
    assert report.grader.verify == verify
    assert report.bias is None


def test_a_criterion_without_an_answer_unscores_the_response_unless_missing_is_no(rated, tmp_path):
    def answer(request):
        return together(request, leave_out=["2"] if "answer 1 " in quoted(request)["response"] else [])

    log, _ = judged_by(answer, tail_rubric(rated, tail="top_k:3"), tmp_path)
    assert scores(log, 0) == SCORES
    assert scores(log, 1) == dict.fromkeys(SCORES)
    report = report_log(log.location)
    assert report.unscored.reasons == {"1 of 3 criteria unanswered: as many yes as no": 4} or report.unscored.count == 4
    assert report.rubric.unanswered_rate.value == pytest.approx(1 / 9, abs=1e-6)
    log, _ = judged_by(answer, tail_rubric(rated, tail="top_k:3", missing="no"), tmp_path)
    assert scores(log, 1) == {"r0": 0.75, "r1": 0.0, "r2": 0.0, "r3": 0.0}


@pytest.mark.parametrize("missing", ["unscored", "no"])
def test_a_call_that_failed_is_never_taken_as_an_answer(rated, tmp_path, missing):
    def answer(request):
        if "answer 1 " in quoted(request)["response"] and "Criterion: Rambles." in question(request):
            return error(400, "no")
        return by_criterion(request)

    task = tail_rubric(rated, verify="each", tail="top_k:3", missing=missing)
    log, _ = judged_by(answer, task, tmp_path, max_samples=1)
    assert scores(log, 1) == dict.fromkeys(SCORES)
    assert report_log(log.location).unscored.reasons == {"the server refused it (400): no": 4}


def test_votes_are_decided_by_majority_and_a_draw_by_nobody(rated, tmp_path):
    def answer(request):
        words = quoted(request)["response"].split().count("more")
        yes = {1: 3, 2: 2, 3: 5, 4: 0}[words]
        return completion(*(["yes"] * yes + ["no"] * (5 - yes)))

    log, _ = judged_by(answer, tail_rubric(rated, verify="each", tail="top_k:3", votes=5), tmp_path)
    assert scores(log) == {"r0": 0.5, "r1": 0.0, "r2": 0.5, "r3": 0.0}  # all of it: (3 + 1 - 2) / 4

    def torn(request):
        return completion("yes", "no")

    log, _ = judged_by(torn, tail_rubric(rated, verify="each", tail="top_k:3", votes=2), tmp_path, limit=1)
    assert scores(log) == dict.fromkeys(SCORES)
    assert report_log(log.location).unscored.reasons == {"3 of 3 criteria unanswered: as many yes as no": 4}


@pytest.mark.parametrize("by", ["logprobs", "votes"])
def test_soft_scores_are_the_probability_of_yes(rated, tmp_path, by):
    def answer(request):
        words = quoted(request)["response"].split().count("more")
        if by == "votes":
            return completion(*(["yes"] * (5 - words) + ["no"] * words))
        p = (5 - words) / 5
        said = "yes" if p >= 0.5 else " No"
        return completion(*[said] * 5, logprobs=[[(said, {"yes": p * 0.9, " No": (1 - p) * 0.9, "Well": 0.1})]] * 5)

    log, _ = judged_by(answer, tail_rubric(rated, verify="each", soft=True, tail="top_k:3", votes=5), tmp_path)
    # each criterion is met with p: (3 p + p - 2 p) / 4
    assert scores(log) == pytest.approx({"r0": 0.4, "r1": 0.3, "r2": 0.2, "r3": 0.1})


def test_a_verifier_of_known_skill_is_recovered(tmp_path):
    """It sees whether a criterion is met with probability q: that is the pass rate of the better response."""
    q = 0.8
    criteria = [{"criterion": "Is the better one.", "weight": 1}]
    records = [ladder(n, k=2, rubric=criteria) for n in range(60)]
    path = str(write_jsonl(tmp_path / "skill.jsonl", records))

    def answer(request):
        text = quoted(request)["response"]
        met = text.split().count("more") == 1
        return completion("yes" if met == (unit("sees", text) < q) else "no")

    log, _ = judged_by(answer, tail_rubric(path, verify="each"), tmp_path)
    report = report_log(log.location)
    assert within(report.regions["tail"].accuracy, q * q + q * (1 - q))
    assert within(report.regions["tail"].tie_rate, 2 * q * (1 - q))
    assert within(report.rubric.discrimination, q - (1 - q))
    assert within(report.rubric.saturated, 2 * q * (1 - q))


@pytest.mark.parametrize("verify", ["each", "together"])
def test_a_perfect_verifier_with_the_refined_rubric_ranks_all_of_the_tail_right(tmp_path, verify):
    """The programs that decide the tiers as verifier: the build records in `defects` what they find."""
    ladders = {x.prompt: x for x in load("ladders")}

    def answer(request):
        shown = quoted(request)
        own = ladders[shown["prompt"]]
        (response,) = [r for r in own.responses if r.text == shown["response"]]
        passed = [check.defect not in response.defects for check in own.checks]
        if verify == "together":
            return completion(json.dumps({str(n): "yes" if p else "no" for n, p in enumerate(passed, 1)}))
        criterion = question(request).split("Criterion: ")[1].split("\n\nDoes the response")[0]
        (n,) = [i for i, c in enumerate(own.checks) if c.criterion == criterion]
        return completion("yes" if passed[n] else "no")

    limit = 3 if verify == "each" else None  # a call a criterion
    log, _ = judged_by(answer, tail_rubric(rubric="refined", verify=verify), tmp_path, limit=limit)
    report = report_log(log.location)
    assert report.regions["tail"].accuracy.value == report.regions["all"].accuracy.value == 1.0
    assert report.unscored.count == 0


def test_generic_and_file_rubrics(tmp_path):
    path = str(write_jsonl(tmp_path / "plain.jsonl", [ladder(n) for n in range(2)]))
    log = run(tail_rubric(path, rubric="generic", tail="top_k:3"), "builtin/constant", tmp_path)
    assert report_log(log.location).regions["tail"].tie_rate.value == 1
    own = [{"id": f"ladder-{n:03}", "rubric": [{"criterion": f"Is {n}.", "weight": 1}]} for n in range(2)]
    rubric = str(write_jsonl(tmp_path / "rubric.jsonl", own))
    log = run(tail_rubric(path, rubric=rubric, tail="top_k:3"), "builtin/constant", tmp_path)
    assert {c.criterion for c in report_log(log.location).rubric.criteria} == {"Is 0.", "Is 1."}


def rubric_file(tmp_path, *records):
    return str(write_jsonl(tmp_path / "rubric.jsonl", list(records)))


ONE = {"criterion": "Good.", "weight": 1}


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{"id": "ladder-000", "rubric": [ONE]}], ["1 ladder (ladder-001) has no rubric in it"]),
        (
            [{"id": f"ladder-00{n}", "rubric": [ONE]} for n in (0, 1, 7)],
            ["it has rubrics for 1 ladder (ladder-007) that the data set does not have"],
        ),
        ([{"id": "ladder-000"}], ["rubric.jsonl:1", 'must be {"id": ladder, "rubric"']),
        ([{"id": "ladder-000", "rubric": [{"criterion": "Good.", "weight": "much"}]}], ["rubric.0.weight"]),
        ([{"id": "ladder-000", "rubric": [ONE]}] * 2, ["'ladder-000' is there twice"]),
        (
            [{"id": f"ladder-00{n}", "rubric": [{"criterion": "Bad.", "weight": -n}]} for n in (0, 1)],
            ["2 rubrics cannot be used", "ladder-000: the positive weights sum to 0, so it can give no score"],
        ),
    ],
)
def test_a_rubric_file_that_does_not_fit_is_one_message(tmp_path, records, said):
    path = str(write_jsonl(tmp_path / "plain.jsonl", [ladder(n) for n in range(2)]))
    with pytest.raises(PrerequisiteError) as caught:
        tail_rubric(path, rubric=rubric_file(tmp_path, *records), tail="top_k:3")
    for part in said:
        assert part in str(caught.value.message).replace("\\[", "[")


def test_a_data_set_without_rubrics_is_one_message(tmp_path):
    path = str(write_jsonl(tmp_path / "plain.jsonl", [ladder(n) for n in range(2)]))
    for source, field in (("dataset", "rubric"), ("refined", "checks"), ("no/such.jsonl", "there is no such file")):
        with pytest.raises(PrerequisiteError, match=field):
            tail_rubric(path, rubric=source)


def test_the_embedded_ladders_have_both_rubrics():
    for source in ("dataset", "refined"):
        assert len(tail_rubric(rubric=source).dataset) == 9


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.sampled_from([0.0, 0.5, 1.0])), min_size=1).filter(
        lambda rows: sum(w for w, _ in rows if w > 0) > 1e-3
    )
)
def test_scores_lie_in_0_to_1_and_never_fall_when_a_good_criterion_is_met(rows):
    weights, met = zip(*rows, strict=True)
    score = score_of(met, weights, "unscored")
    assert 0 <= score <= 1
    for n, w in enumerate(weights):
        more = [1.0 if i == n else v for i, v in enumerate(met)]
        again = score_of(more, weights, "unscored")
        assert again >= score - 1e-12 if w >= 0 else again <= score + 1e-12
    assert score_of([1.0 if w > 0 else 0.0 for w in weights], weights, "unscored") == pytest.approx(1)
    assert score_of([None, *met[1:]], weights, "unscored") is None
    assert score_of([None, *met[1:]], weights, "no") == pytest.approx(score_of([0.0, *met[1:]], weights, "no"))


@pytest.mark.parametrize("provider", ["openai-api/scripted/verifier", "litellm/openai/verifier"])
def test_both_providers_verify_alike(rated, tmp_path, provider):
    with serving(together) as server:
        model = get_model(provider, base_url=server.url, api_key="none", memoize=False)
        log = run(tail_rubric(rated, tail="top_k:3"), model, tmp_path)
    assert scores(log) == SCORES
