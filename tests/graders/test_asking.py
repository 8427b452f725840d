"""How a model is asked: votes, log-probabilities that are not there, refusals, retries, the cache, limits and cost."""

from __future__ import annotations

import pytest
from inspect_ai.model import CachePolicy, get_model

from tail_bench.logs import report_log
from tail_bench.tasks import tail_judge
from tests.helpers import ladder, run, write_jsonl
from tests.loopback import HANG, completion, error, judged_by, question, serving


def quick(monkeypatch):
    """Without Inspect's seconds of waiting between attempts."""
    import inspect_ai.model._retry

    async def no_sleep(seconds: float) -> None:
        pass

    monkeypatch.setattr(inspect_ai.model._retry, "_sleep", no_sleep)


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
