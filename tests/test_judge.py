"""tail_judge run in process against scripted judges: what is asked, what is kept, and what the report recovers."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
from itertools import combinations
from pathlib import Path

import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import read_eval_log
from inspect_ai.model import CachePolicy, get_model

import tail_bench
from tail_bench.logs import report_log
from tail_bench.tasks import tail_judge, tail_reward, tail_rubric
from tests.helpers import ladder, run, write_jsonl
from tests.loopback import HANG, completion, error, question, quoted, serving

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


@pytest.fixture
def four(tmp_path):
    return str(write_jsonl(tmp_path / "four.jsonl", [ladder(n) for n in range(3)]))


def judged_by(answer, task, tmp_path, provider="openai-api/scripted/judge", **arguments):
    with serving(answer) as server:
        model = get_model(provider, base_url=server.url, api_key="none", memoize=False)
        log = run(task, model, tmp_path, **arguments)
    return log, server.requests


def unit(*parts: object) -> float:
    """A number in [0, 1) that is random in the parts and always the same."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


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


def within(figure, value) -> bool:
    return figure.ci_low <= value <= figure.ci_high


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


def test_votes_are_asked_for_at_once_and_topped_up_where_a_server_gives_fewer(four, tmp_path):
    def several(request):
        return completion(*["A", "A", "B"][: request.get("n", 1)])

    log, requests = judged_by(several, tail_judge(four, votes=3, tail="top_k:3"), tmp_path)
    assert {r.get("n") for r in requests} == {3}
    assert len(requests) == 36
    kept = log.samples[0].scores["ladder_scorer"].metadata["judgment"]["preferences"]
    assert [p for _, _, p in kept] == pytest.approx([2 / 3] * 12)
    assert not any("temperature" in r for r in requests)  # drawn as the model draws

    def one_only(request):
        return completion("A") if request.get("n", 1) == 1 else error(400, "only one completion choice is allowed")

    log, requests = judged_by(one_only, tail_judge(four, votes=3, tail="top_k:3"), tmp_path, limit=1, max_connections=1)
    report = report_log(log.location)
    assert report.verdicts.replies == 36
    assert report.unscored.count == 0

    def ignores_n(request):
        return completion("A")

    log, requests = judged_by(ignores_n, tail_judge(four, votes=3, tail="top_k:3"), tmp_path, limit=1)
    assert report_log(log.location).verdicts.replies == 36
    assert len(requests) == 36


def test_a_single_vote_is_greedy_unless_the_user_says_otherwise(four, tmp_path):
    task = tail_judge(four, tail="top_k:3", mode="pointwise")
    _, requests = judged_by(lambda r: completion("7"), task, tmp_path, limit=1)
    assert {r["temperature"] for r in requests} == {0}
    assert {r["top_logprobs"] for r in requests} == {20}
    _, requests = judged_by(lambda r: completion("7"), task, tmp_path, limit=1, temperature=0.7, top_logprobs=5)
    assert {r["temperature"] for r in requests} == {0.7}
    assert {r["top_logprobs"] for r in requests} == {5}


@pytest.mark.parametrize("how", ["refused", "left out"])
def test_a_model_without_log_probabilities_is_taken_by_its_words(four, tmp_path, how):
    def answer(request):
        if how == "refused" and request.get("logprobs"):
            return error(400, "You are not allowed to request logprobs from this model")
        return completion("B")

    log, requests = judged_by(answer, tail_judge(four, tail="top_k:3"), tmp_path, max_samples=1, max_connections=1)
    report = report_log(log.location)
    assert report.verdicts.p_source == {"votes": 36}
    assert report.unscored.count == 0
    assert sum(bool(r.get("logprobs")) for r in requests) < 36  # found out, and not asked for again
    assert len(requests) <= 36 + 12


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


def test_what_a_server_refuses_is_unscored_with_its_message(four, tmp_path):
    def answer(request):
        if "answer 1 more" in question(request) and "Question 1?" in question(request):
            return error(400, "this text is not allowed here")
        return completion("A")

    log, _ = judged_by(answer, tail_judge(four, tail="top_k:3"), tmp_path, max_samples=1)
    report = report_log(log.location)
    assert log.status == "success"
    assert report.unscored.reasons == {"the server refused it (400): this text is not allowed here": 6}


def test_a_ladder_longer_than_the_context_is_named_and_unscored(four, tmp_path):
    def answer(request):
        if "Question 0?" in question(request):
            message = "request (9031 tokens) exceeds the available context size (8192 tokens), try increasing it"
            return error(400, message, type="exceed_context_size_error")
        return completion("A")

    for provider in ("openai-api/scripted/judge", "litellm/openai/judge"):
        log, _ = judged_by(answer, tail_judge(four, mode="pointwise", tail="top_k:3"), tmp_path, provider)
        report = report_log(log.location)
        (reason,) = [r for r in report.unscored.reasons if "context" in r]
        assert reason.startswith("longer than the model's context: request (9031 tokens) exceeds")
        assert {e["ladder"] for e in report.unscored.first} >= {"ladder-000"}


def test_a_server_that_refuses_everything_stops_the_run(tmp_path):
    path = str(write_jsonl(tmp_path / "many.jsonl", [ladder(n) for n in range(20)]))
    log, requests = judged_by(lambda r: error(400, "no such thing"), tail_judge(path, tail="top_k:3"), tmp_path)
    assert log.status == "error"
    assert "got no answer" in log.error.message
    assert "no such thing" in log.error.message
    assert len(requests) < 20 * 12 / 2


@pytest.mark.parametrize("status", [401, 404])
def test_what_no_request_can_get_past_stops_the_run_with_the_servers_message(four, tmp_path, status):
    log, _ = judged_by(lambda r: error(status, "wrong key or model"), tail_judge(four, tail="top_k:3"), tmp_path)
    assert log.status == "error"
    assert "wrong key or model" in log.error.message


@pytest.mark.parametrize("provider", ["openai-api/scripted/judge", "litellm/openai/judge"])
@pytest.mark.parametrize("status", [429, 500])
def test_what_passes_is_tried_again(four, tmp_path, provider, status, monkeypatch):
    quick(monkeypatch)
    failed = set()

    def answer(request):
        if question(request) not in failed and not failed:
            failed.add(question(request))
            return error(status, "try later")
        return completion("A")

    log, requests = judged_by(answer, tail_judge(four, mode="pointwise", tail="top_k:3"), tmp_path, provider, limit=1)
    assert log.status == "success"
    assert len(requests) == 4 + 1


def test_a_hung_reply_times_out_and_is_unscored(four, tmp_path, monkeypatch):
    quick(monkeypatch)

    def answer(request):
        return HANG if "Question 1?" in question(request) else completion("7")

    task = tail_judge(four, mode="pointwise", tail="top_k:3")
    log, _ = judged_by(answer, task, tmp_path, attempt_timeout=1, max_retries=1)
    report = report_log(log.location)
    assert log.status == "success"
    assert report.unscored.count == 4
    (reason,) = report.unscored.reasons
    assert reason.startswith("no answer after 2 attempts")


def test_a_shortfall_or_failure_of_one_call_does_not_change_how_the_others_are_made(four, tmp_path, monkeypatch):
    quick(monkeypatch)
    served = []

    def answer(request):
        served.append(request)
        if len(served) == 1:
            return completion("A", "A", "A", "A")  # four of five
        if "Question 2?" in question(request) and "answer 2 more \n" in question(request):
            return error(503, "busy")
        return completion(*["A"] * request.get("n", 1))

    task = tail_judge(four, votes=5, tail="top_k:3")
    log, requests = judged_by(answer, task, tmp_path, max_samples=1, max_connections=1, max_retries=1)
    assert sum(r.get("n", 1) == 1 for r in requests) == 1  # the missing one
    report = report_log(log.location)
    assert set(report.unscored.reasons) == {"no answer after 2 attempts: busy"}
    assert report.verdicts.p_source == {"votes": report.verdicts.replies // 5 - report.verdicts.unread // 5}


@pytest.mark.parametrize("odd", ["empty", "echo"])
def test_one_odd_reply_does_not_end_the_use_of_log_probabilities(four, tmp_path, odd):
    count = []

    def answer(request):
        count.append(request)
        if len(count) == 5:
            return completion("", finish="length") if odd == "empty" else error(400, "unsafe: {'logprobs': True}")
        return completion("A", logprobs=[[("A", {"A": 0.7, "B": 0.3})]])

    log, _ = judged_by(answer, tail_judge(four, tail="top_k:3"), tmp_path, max_samples=1, max_connections=1)
    assert report_log(log.location).verdicts.p_source == {"logprobs": 35}


@pytest.mark.parametrize(
    "body",
    [
        {"choices": None},
        {"error": {"message": "upstream overloaded", "code": 502}},
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": None}],
        },
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []},
    ],
    ids=["no choices", "an error in a 200", "no message", "empty choices"],
)
@pytest.mark.parametrize("provider", ["openai-api/scripted/judge", "litellm/openai/judge"])
def test_a_reply_that_cannot_be_read_is_one_unscored_question(four, tmp_path, monkeypatch, provider, body):
    quick(monkeypatch)

    def answer(request):
        return body if "Question 1?" in question(request) else completion("7")

    task = tail_judge(four, mode="pointwise", tail="top_k:3")
    log, _ = judged_by(answer, task, tmp_path, provider, max_retries=1)
    assert log.status == "success", log.error
    report = report_log(log.location)
    assert report.unscored.count == 4
    assert sum(report.unscored.reasons.values()) == 4


def test_two_models_of_one_run_are_each_asked_for_what_they_give(four, tmp_path):
    from inspect_ai import eval

    def answer(request):
        p = {"A": 0.7, "B": 0.3}
        return completion("A", logprobs=None if request["model"] == "without" else [[("A", p)]])

    with serving(answer) as server:
        models = [
            get_model(f"openai-api/scripted/{name}", base_url=server.url, api_key="none", memoize=False)
            for name in ("without", "with")
        ]
        logs = eval(tail_judge(four, tail="top_k:3"), model=models, log_dir=str(tmp_path / "logs"), display="none")
    assert [report_log(log.location).verdicts.p_source for log in logs] == [{"votes": 36}, {"logprobs": 36}]


def test_a_cache_entry_is_not_another_servers(four, tmp_path, monkeypatch):
    """The address may come from the environment, which Inspect's cache key does not have."""
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    found = []
    for letter in "AB":
        with serving(lambda r, letter=letter: completion(letter)) as server:
            monkeypatch.setenv("HOSTED_VLLM_API_BASE", server.url)
            model = get_model("litellm/hosted_vllm/judge", memoize=False)
            log = run(tail_judge(four, tail="top_k:3"), model, tmp_path, cache=CachePolicy())
            found.append(
                (len(server.requests), log.samples[0].scores["ladder_scorer"].metadata["judgment"]["preferences"])
            )
    (asked_first, first), (asked_second, second) = found
    assert asked_first == asked_second == 36
    assert {p for _, _, p in first} == {1.0}
    assert {p for _, _, p in second} == {0.0}


def test_a_ladder_stopped_by_a_limit_leaves_the_others_figures(four, tmp_path):
    def answer(request):
        body = completion("A")
        if "Question 1?" in question(request):
            body["usage"] = {"prompt_tokens": 10**6, "completion_tokens": 1, "total_tokens": 10**6 + 1}
        return body

    log, _ = judged_by(answer, tail_judge(four, tail="top_k:3"), tmp_path, token_limit=10**5, max_connections=1)
    report = report_log(log.location)
    assert report.unscored.reasons == {"stopped by a limit before it was judged": 6}
    assert (report.unscored.of, report.unscored.unit) == (18, "pairs")
    assert report.regions["all"].calibration.native.overconfidence.n_ladders == 2
    assert report.cost.comparisons == 12


def test_votes_of_a_greedy_preset_are_drawn(four, tmp_path):
    task = tail_judge(four, prompt="skywork-critic", votes=3, tail="top_k:3")
    _, requests = judged_by(lambda r: completion(*["[[A]]"] * r.get("n", 1)), task, tmp_path, limit=1)
    assert not any("temperature" in r for r in requests)
    task = tail_judge(four, prompt="skywork-critic", tail="top_k:3")
    _, requests = judged_by(lambda r: completion("[[A]]"), task, tmp_path, limit=1)
    assert {(r["temperature"], r["max_tokens"]) for r in requests} == {(0, 2048)}


def test_one_ladder_that_is_refused_does_not_end_the_run(tmp_path):
    path = str(write_jsonl(tmp_path / "many.jsonl", [ladder(n) for n in range(4)]))

    def answer(request):
        return error(400, "flagged") if "Question 0?" in question(request) else completion("A")

    log, _ = judged_by(answer, tail_judge(path, tail="top_k:3"), tmp_path, max_samples=1, max_connections=1)
    assert log.status == "success"
    assert report_log(log.location).unscored.reasons == {"the server refused it (400): flagged": 6}


def quick(monkeypatch):
    """Without Inspect's seconds of waiting between attempts."""
    import inspect_ai.model._retry

    async def no_sleep(seconds: float) -> None:
        pass

    monkeypatch.setattr(inspect_ai.model._retry, "_sleep", no_sleep)


def test_the_cache_asks_identical_questions_once(four, tmp_path, monkeypatch):
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))

    def one_only(request):
        return completion("A" if len(server.requests) % 2 else "B")

    with serving(one_only) as server:

        def calls(votes=1, **arguments):
            name = "openai-api/scripted/judge"
            model = get_model(name, base_url=server.url, api_key="none", memoize=False, **arguments)
            before = len(server.requests)
            task = tail_judge(four, mode="pointwise", tail="top_k:3", votes=votes)
            run(task, model, tmp_path, cache=CachePolicy(), max_samples=1, max_connections=1)
            return len(server.requests) - before

        assert [calls(), calls()] == [12, 0]
        assert calls(default_headers={"x-version": "2"}) == 12  # another provider argument, another model
        # Of two votes the first is the single vote's, at another temperature; neither is the other's copy.
        assert calls(votes=2) >= 24
        assert calls(votes=2) == 0


def test_responses_of_the_same_text_are_asked_about_once(tmp_path):
    record = ladder(0)
    record["responses"][1]["text"] = record["responses"][0]["text"]
    path = str(write_jsonl(tmp_path / "same.jsonl", [record]))
    _, requests = judged_by(lambda r: completion("7"), tail_judge(path, mode="pointwise", tail="top_k:3"), tmp_path)
    assert len(requests) == 3


def test_costs_are_counted_and_limits_hold(four, tmp_path):
    with serving(lambda r: completion("A")) as server:
        # A price is listed for the model's own address only; here it is given by the user.
        from inspect_ai.model import ModelCost, ModelInfo, set_model_info

        name = "openai-api/scripted/priced"
        set_model_info(name, ModelInfo(cost=ModelCost(input=10, output=20, input_cache_read=1, input_cache_write=10)))
        model = get_model(name, base_url=server.url, api_key="none", memoize=False)
        log = run(tail_judge(four, tail="top_k:3"), model, tmp_path)
        cost = report_log(log.location).cost
        assert (cost.calls, cost.input_tokens, cost.output_tokens, cost.comparisons) == (36, 3600, 36, 18)
        assert cost.usd == pytest.approx(3600 * 10e-6 + 36 * 20e-6)
        assert cost.per_1000["usd"] == pytest.approx(cost.usd / 18 * 1000, abs=1e-5)
        assert cost.per_1000["calls"] == 2000
        log = run(tail_judge(four, tail="top_k:3"), model, tmp_path, cost_limit=0.005, max_connections=1)
        report = report_log(log.location)
        assert report.cost.usd < 0.02
        assert set(report.unscored.reasons) == {"stopped by a limit before it was judged"}


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


@pytest.mark.parametrize("name", ["tail_reward", "tail_judge", "tail_rubric"])
def test_the_tasks_of_a_checkout_have_the_parameters_of_the_package(name):
    path = Path(tail_bench.__file__).parent.parent / "tasks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"checkout_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    own, package = (inspect.signature(getattr(m, name)) for m in (module, tail_bench.tasks))
    assert str(own) == str(package)


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
