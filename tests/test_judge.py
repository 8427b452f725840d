"""tail_judge run in process against scripted judges: what is asked, what is kept, and what the report recovers."""

from __future__ import annotations

from itertools import combinations

import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import read_eval_log
from inspect_ai.model import get_model

from tail_bench.logs import report_log
from tail_bench.tasks import tail_judge, tail_reward, tail_rubric
from tests.helpers import ladder, run, unit, within, write_jsonl
from tests.loopback import completion, judged_by, question, quoted

N = 60


def pair(number: int) -> dict:
    """A ladder of two responses that say how good they are, so that a scripted judge can know."""
    return {
        "id": f"pair-{number:03}",
        "prompt": f"Question {number}?",
        "responses": [{"id": f"r{g}", "text": f"answer of grade {g}", "gold": float(g)} for g in (1, 2)],
    }


@pytest.fixture
def pairs(tmp_path):
    return str(write_jsonl(tmp_path / "pairs.jsonl", [pair(n) for n in range(N)]))


def grade(text: str) -> int:
    return int(text.rsplit(" ", 1)[1])


def verdict(request, q: float, b: float) -> str:
    """A or B by a judge that says A with probability b, whatever it sees, and else is right with probability q."""
    shown = quoted(request)
    order = (shown["prompt"], grade(shown["response_a"]))
    if unit("bias", *order) < b:
        return "A"
    right = unit("skill", *order) < q
    a_is_better = grade(shown["response_a"]) > grade(shown["response_b"])
    return "A" if a_is_better == right else "B"


@pytest.mark.parametrize("by", ["logprobs", "text"])
def test_a_pairwise_judge_of_known_skill_bias_and_sureness_is_recovered(pairs, tmp_path, by):
    q, b, sure = 0.8, 0.3, 0.9

    def answer(request):
        said = verdict(request, q, b)
        other = "B" if said == "A" else "A"
        tokens = [[(said, {said: 0.98 * sure, other: 0.98 * (1 - sure), "The": 0.02})]] if by == "logprobs" else None
        return completion(said, logprobs=tokens)

    log, requests = judged_by(answer, tail_judge(pairs), tmp_path)
    assert len(requests) == 2 * N
    report = report_log(log.location)
    right = (1 - b) * q + b / 2  # of one verdict
    tail, position = report.regions["tail"], report.bias.position
    assert within(tail.accuracy, right)
    assert within(position.first_rate, b + (1 - b) / 2)
    # Right in the order with the better one first, and in the other.
    first, second = b + (1 - b) * q, (1 - b) * q
    both_right, both_wrong = first * second, (1 - first) * (1 - second)
    assert within(position.position_consistency, both_right + both_wrong)
    assert within(tail.tie_rate, 1 - both_right - both_wrong)
    p = sure if by == "logprobs" else 1.0
    confidence = p * (both_right + both_wrong) + 0.5 * (1 - both_right - both_wrong)
    assert within(tail.calibration.native.overconfidence, confidence - right)
    assert report.verdicts.p_source == ({"logprobs": 2 * N} if by == "logprobs" else {"votes": 2 * N})
    assert report.verdicts.unread == 0
    if by == "logprobs":
        assert report.verdicts.mass.value == pytest.approx(0.98)
    else:
        assert report.verdicts.mass.value is None


@pytest.mark.parametrize("by", ["logprobs", "text"])
def test_a_pointwise_judge_of_known_skill_is_recovered(pairs, tmp_path, by):
    q = 0.75

    def answer(request):
        shown = quoted(request)
        knows = unit("skill", shown["prompt"]) < q
        high = (grade(shown["response"]) == 2) == knows
        said = "8" if high else "7"
        tokens = [[(said, {"6": 0.0 + 0.1, "7": 0.2 if high else 0.6, "8": 0.6 if high else 0.2, "10": 0.1})]]
        return completion(said, logprobs=tokens if by == "logprobs" else None)

    log, requests = judged_by(answer, tail_judge(pairs, mode="pointwise"), tmp_path)
    assert len(requests) == 2 * N
    report = report_log(log.location)
    assert within(report.regions["tail"].accuracy, q)
    assert report.bias is None
    judgment = log.samples[0].scores["ladder_scorer"].metadata["judgment"]
    expected = {(0.6 + 1.4 + 4.8 + 1.0), (0.6 + 4.2 + 1.6 + 1.0)} if by == "logprobs" else {8.0, 7.0}
    assert sorted(judgment["scores"].values()) == pytest.approx(sorted(expected))
    assert report.verdicts.p_source == ({"logprobs": 2 * N} if by == "logprobs" else {"votes": 2 * N})


def test_a_listwise_judge_of_known_skill_and_bias_is_recovered(pairs, tmp_path):
    q, b = 0.8, 0.25

    def answer(request):
        shown = quoted(request)
        order = (shown["prompt"], grade(shown["response_1"]))
        first_better = grade(shown["response_1"]) > grade(shown["response_2"])
        first = unit("bias", *order) < b or first_better == (unit("skill", *order) < q)
        return completion("Best first: [[1 > 2]]" if first else "Best first: [[2 > 1]]")

    log, requests = judged_by(answer, tail_judge(pairs, mode="listwise"), tmp_path)
    assert len(requests) == 2 * N
    assert not any(r.get("logprobs") for r in requests)
    report = report_log(log.location)
    assert within(report.regions["tail"].accuracy, (1 - b) * q + b / 2)
    assert within(report.bias.position.first_rate, b + (1 - b) / 2)
    assert report.regions["tail"].calibration.native is None


@pytest.mark.parametrize("mode", ["pairwise", "listwise"])
def test_a_judge_that_always_takes_the_first_ties_every_pair_to_the_last_bit(four, tmp_path, mode):
    def answer(request):
        if mode == "listwise":
            return completion("[[1 > 2 > 3 > 4]]")
        return completion("A", logprobs=[[("A", {"A": 0.7, "B": 0.1})]])

    log, _ = judged_by(answer, tail_judge(four, mode=mode, tail="top_k:3"), tmp_path)
    report = report_log(log.location)
    for region in report.regions.values():
        if region.accuracy.n_pairs:
            assert (region.accuracy.value, region.tie_rate.value, region.strict_accuracy.value) == (0.5, 1.0, 0.0)
    assert (report.bias.position.first_rate.value, report.bias.position.position_consistency.value) == (1.0, 0.0)


def test_every_two_responses_are_asked_about_in_both_orders(four, tmp_path):
    seen = []

    def answer(request):
        shown = quoted(request)
        seen.append((shown["prompt"], shown["response_a"], shown["response_b"]))
        return completion("A")

    log, _ = judged_by(answer, tail_judge(four, tail="top_k:3"), tmp_path)
    texts = {n: [r["text"] for r in ladder(n)["responses"]] for n in range(3)}
    wanted = {
        (f"Question {n}?", *order) for n in range(3) for two in combinations(texts[n], 2) for order in (two, two[::-1])
    }
    assert set(seen) == wanted
    assert len(seen) == len(wanted) == 36
    kept = log.samples[0].scores["ladder_scorer"].metadata["judgment"]["preferences"]
    assert len(kept) == 12
    assert all(p == 1.0 for _, _, p in kept)


def test_no_question_carries_an_id_a_tier_or_a_gold(tmp_path):
    record = ladder(
        0, domain="DOMAINMARK", rubric=[{"criterion": "RUBRICMARK", "weight": 1}], id="IDMARK", secret="COLUMNMARK"
    )
    for r, tier in zip(record["responses"], ["excellent", "great", "good", "poor"], strict=True):
        r |= {
            "id": f"RESPONSEMARK-{r['id']}",
            "tier": tier,
            "gold": r["gold"] + 0.8182838,
            "generator": "GENERATORMARK",
        }
    path = str(write_jsonl(tmp_path / "marked.jsonl", [record]))
    for mode in ("pairwise", "pointwise", "listwise"):
        _, requests = judged_by(lambda r: completion("A"), tail_judge(path, mode=mode), tmp_path)
        for request in requests:
            assert "answer 0 more" in str(request)
            for mark in ("MARK", "8182838"):
                assert mark not in str(request)


def test_listwise_shows_an_order_and_its_reverse_and_a_partial_ranking_leaves_the_rest_unscored(four, tmp_path):
    orders = []

    def answer(request):
        shown = quoted(request)
        orders.append([shown[f"response_{n}"] for n in range(1, 5)])
        worst = max(range(4), key=lambda i: len(orders[-1][i]))
        best_first = sorted(range(4), key=lambda i: len(orders[-1][i]))
        return completion("[[" + " > ".join(str(i + 1) for i in best_first if i != worst) + "]]")

    log, _ = judged_by(answer, tail_judge(four, mode="listwise", tail="top_k:3"), tmp_path, max_samples=1)
    by_prompt = [orders[i : i + 2] for i in range(0, 6, 2)]
    assert all(sorted(a) == sorted(b) and a == b[::-1] for a, b in by_prompt)
    report = report_log(log.location)
    assert report.regions["tail"].accuracy.value == 1.0
    assert report.unscored.reasons == {"left out of a ranking": 3}
    assert {e["response"] for e in report.unscored.first} == {"r3"}


def test_replies_that_say_nothing_are_unscored_and_shown(four, tmp_path):
    def answer(request):
        if "Question 1?" in question(request):
            return completion("I am unable to compare these.")
        if "Question 2?" in question(request):
            return completion("Both are [[A]] or [[B]], with", finish="length")
        return completion("[[A]]")

    log, _ = judged_by(answer, tail_judge(four, tail="top_k:3"), tmp_path)
    report = report_log(log.location)
    assert report.regions["all"].unscored_rate.value == pytest.approx(2 / 3, abs=1e-6)
    assert report.unscored.reasons == {
        "no verdict in the reply": 6,
        "no verdict in the reply, which was cut off (a larger --max-tokens?)": 6,
    }
    assert (report.verdicts.replies, report.verdicts.unread) == (36, 24)
    assert [e["reply"] for e in report.verdicts.examples] == [
        "I am unable to compare these.",
        "Both are [[A]] or [[B]], with",
    ]


def test_a_verdict_off_the_scale_is_said(four, tmp_path):
    log, _ = judged_by(lambda r: completion("11"), tail_judge(four, mode="pointwise", tail="top_k:3"), tmp_path)
    assert report_log(log.location).unscored.reasons == {"the verdict '11' is none of the preset's labels": 12}


def test_responses_of_the_same_text_are_asked_about_once(tmp_path):
    record = ladder(0)
    record["responses"][1]["text"] = record["responses"][0]["text"]
    path = str(write_jsonl(tmp_path / "same.jsonl", [record]))
    _, requests = judged_by(lambda r: completion("7"), tail_judge(path, mode="pointwise", tail="top_k:3"), tmp_path)
    assert len(requests) == 3


def test_builtin_graders_judge_as_they_reward(tmp_path):
    """A null grader has the same floor, however it is asked; a constant one ties every pair."""
    rewards = report_log(run(tail_reward(), "builtin/longest", tmp_path).location)
    for mode in ("pairwise", "pointwise", "listwise"):
        judged = report_log(run(tail_judge(mode=mode), "builtin/longest", tmp_path).location)
        assert judged.regions["tail"].accuracy == rewards.regions["tail"].accuracy
        constant = report_log(run(tail_judge(mode=mode), "builtin/constant", tmp_path).location)
        assert constant.regions["all"].tie_rate.value == 1.0
    for prompt in ("prometheus-2-relative", "prometheus-2-absolute", "skywork-critic", "rm-r1"):
        judged = report_log(run(tail_judge(prompt=prompt), "builtin/longest", tmp_path).location)
        assert judged.regions["tail"].accuracy == rewards.regions["tail"].accuracy


@pytest.mark.parametrize(
    ("task", "arguments", "model", "said"),
    [
        (tail_judge, {"mode": "pairs"}, None, "mode=pairs: must be one of pairwise, pointwise, listwise"),
        (tail_judge, {"votes": 0}, None, "votes=0: must be a whole number of at least 1"),
        (tail_judge, {"reasoning": "yes"}, None, "reasoning=yes: must be true or false"),
        (tail_judge, {"prompt": "skywork"}, None, "no such preset or YAML file; the presets are listwise, pairwise"),
        (tail_judge, {"prompt": "verify-each"}, None, "is a preset for verify-each"),
        (tail_judge, {"prompt": "rm-r1", "reasoning": False}, None, "always thinks before its verdict"),
        (tail_judge, {"prompt": "rm-r1", "mode": "listwise"}, None, "the preset rm-r1 is pairwise"),
        (tail_judge, {"moed": "pairwise"}, None, "no such -T parameter: moed; tail_judge has dataset, mode"),
        (
            tail_judge,
            {},
            "rm-python/tests.providers.rewards:conversations",
            "is a reward model: use it with tail_reward",
        ),
        (tail_judge, {"mode": "pointwise"}, "builtin/first", "has nothing to go by where one response is rated"),
        (tail_judge, {}, "litellm/openai/text-embedding-3-small", "needs a chat model, and"),
        (tail_rubric, {}, "builtin/longest", "has nothing to go by where a criterion is checked"),
        (tail_rubric, {"soft": True}, None, "soft=true needs verify=each"),
        (tail_rubric, {"verify": "both"}, None, "verify=both: must be one of together, each"),
        (tail_rubric, {"missing": "yes"}, None, "missing=yes: must be one of unscored, no"),
    ],
)
def test_wrong_input_is_one_message_before_any_call(task, arguments, model, said, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    from inspect_ai.model._model import init_active_model

    if model is not None:
        from inspect_ai.model import GenerateConfig

        init_active_model(get_model(model), GenerateConfig())
    try:
        with pytest.raises(PrerequisiteError) as caught:
            task(**arguments)
    finally:
        from inspect_ai.model._model import active_model_context_var

        active_model_context_var.set(None)
    assert said in str(caught.value.message)


def test_a_log_says_how_the_judge_was_asked(four, tmp_path):
    log, _ = judged_by(lambda r: completion("A"), tail_judge(four, tail="top_k:3", votes=1), tmp_path)
    grader = report_log(log.location).grader
    assert (grader.kind, grader.mode, grader.prompt, grader.votes, grader.reasoning) == (
        "judge",
        "pairwise",
        "pairwise",
        1,
        False,
    )
    assert len(grader.preset_fingerprint) == 64
    assert read_eval_log(log.location).samples[0].scores["ladder_scorer"].metadata["judgment"]["answers"]
