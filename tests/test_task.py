"""tail_reward run in process: what a grader sees, what is kept, and what the log and the report say."""

import importlib.util
import inspect
import json
import math
from pathlib import Path

import pytest
from inspect_ai import eval, score
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.event import ModelEvent
from inspect_ai.log import read_eval_log
from inspect_ai.model import CachePolicy, get_model

import tail_bench
from tail_bench.logs import report_log
from tail_bench.scorer import METRICS, ladder_scorer
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl

REWARDS = "rm-python/tests.providers.rewards"
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"city": "Oslo"}'}}


@pytest.fixture
def data(tmp_path):
    return str(write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(12)]))


def metrics(log):
    return {name: m.value for name, m in log.results.scores[0].metrics.items()}


def test_metrics_in_their_order_and_the_report_agree(data, tmp_path):
    log = run(tail_reward(data, tail="top_k:3"), "builtin/shortest", tmp_path)
    assert log.status == "success"
    assert tuple(metrics(log)) == METRICS
    assert log.results.headline.metric == "tail_accuracy"
    report = report_log(log.location)
    found = metrics(log)
    tail = report.regions["tail"].accuracy
    assert (found["tail_accuracy"], found["tail_accuracy_ci_low"], found["tail_accuracy_ci_high"]) == pytest.approx(
        (tail.value, tail.ci_low, tail.ci_high), abs=1e-6
    )
    assert found["n_ladders"] == tail.n_ladders == 12
    assert found["n_tail_pairs"] == tail.n_pairs == 36
    assert math.isnan(found["body_accuracy"])
    assert report.regions["body"].accuracy.value is None
    assert report.regions["tail"].accuracy.value == 1
    assert (report.run.completed, report.run.total) == (12, 12)


def test_no_call_carries_an_id_a_tier_or_a_gold(tmp_path):
    """Every recorded call is read as JSON; the data hold marks that may be nowhere in it."""
    records = [
        ladder(
            n,
            domain="DOMAINMARK",
            split="SPLITMARK",
            canary="CANARYMARK",
            rubric=[{"criterion": "RUBRICMARK", "weight": 1}],
        )
        for n in range(6)
    ]
    for record in records:
        record["id"] = f"IDMARK-{record['id']}"
        record["checks"] = [{"name": "CHECKMARK", "weight": 1, "criterion": "CHECKMARK"}]
        for r, tier in zip(record["responses"], ["excellent", "great", "good", "poor"], strict=True):
            r |= {
                "id": f"RESPONSEMARK-{r['id']}",
                "tier": tier,
                "gold": r["gold"] + 0.8182838,
                "generator": "GENERATORMARK",
            }
            r |= {"defects": ["DEFECTMARK"], "ratings": {"RATERMARK": 1}, "variant": "VARIANTMARK"}
    path = write_jsonl(tmp_path / "marked.jsonl", records)
    log = run(tail_reward(str(path)), f"{REWARDS}:conversations", tmp_path)
    calls = [e for s in log.samples for e in s.events if isinstance(e, ModelEvent)]
    assert len(calls) == len(records)
    for event in calls:
        seen = (
            json.dumps([m.model_dump() for m in event.input]) + json.dumps(event.config.model_dump()) + str(event.call)
        )
        assert "more more" in seen
        for mark in ("MARK", "8182838", '"tier"', '"gold"', "excellent", "great"):
            assert mark not in seen, mark


def test_order_is_seeded_and_says_nothing(tmp_path):
    """Shown first is each response about equally often, whatever its gold; another seed gives another order."""
    path = str(write_jsonl(tmp_path / "many.jsonl", [ladder(n) for n in range(200)]))
    logs = {seed: run(tail_reward(path, tail="top_k:2", seed=seed), "builtin/first", tmp_path) for seed in (0, 1)}
    first = {}
    for seed, log in logs.items():
        scores = [s.scores["ladder_scorer"].metadata["judgment"]["scores"] for s in log.samples]
        first[seed] = [max(own, key=own.get) for own in scores]
        assert all(30 <= first[seed].count(f"r{i}") <= 70 for i in range(4))
        assert 0.4 < metrics(log)["tail_accuracy"] < 0.6
    assert first[0] != first[1]
    again = run(tail_reward(path, tail="top_k:2", seed=0), "builtin/first", tmp_path)
    assert metrics(again) == pytest.approx(metrics(logs[0]), nan_ok=True)


def test_conversations_reasoning_and_tool_calls_reach_the_grader(tmp_path):
    from tests.providers import rewards

    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]
    record = ladder(1, prompt=turns)
    record["responses"][0] |= {"reasoning": "It said rain.", "tool_calls": [CALL]}
    record["responses"][3]["reasoning"] = "And it did."
    record["responses"][1]["text"] = "<think>hm</think>Say </think> aloud."
    path = str(write_jsonl(tmp_path / "turns.jsonl", [record]))
    for thinking in ("keep", "strip"):
        rewards.calls.clear()
        run(tail_reward(path, thinking=thinking), f"{REWARDS}:conversations", tmp_path, reasoning_history="none")
        ((_, conversations),) = rewards.calls
        assert [m["role"] for m in conversations[0]] == ["system", "user", "assistant", "tool", "assistant"]
        assert conversations[0][2]["tool_calls"][0]["function"]["name"] == "lookup"
        last = {c[-1]["content"].strip(): c[-1] for c in conversations}
        reasoned = last["answer 1 more"]
        assert reasoned["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
        assert reasoned.get("reasoning_content") == ("It said rain." if thinking == "keep" else None)
        assert ("<think>hm</think>Say </think> aloud." if thinking == "keep" else "Say </think> aloud.") in last


def test_a_grader_that_fails_on_some_responses_finishes(tmp_path):
    record = ladder(1, k=6)
    for r, text in zip(record["responses"], ["fine", "nan", "good", "raise", "none", "fair"], strict=True):
        r["text"] = text
    path = str(write_jsonl(tmp_path / "bad.jsonl", [record, ladder(2), ladder(3)]))
    log = run(tail_reward(path, tail="top_k:2"), f"{REWARDS}:by_content", tmp_path)
    assert log.status == "success"
    report = report_log(log.location)
    assert (report.unscored.count, report.unscored.of) == (3, 14)
    assert report.unscored.reasons == {
        "returned nan": 1,
        "returned None": 1,
        "raised RuntimeError: cannot score [bold]this[/bold]": 1,
    }
    assert {e["response"] for e in report.unscored.first} == {"r1", "r3", "r4"}
    # Ladder 1: its tail pair is unscored; ladders 2 and 3: equal scores.
    assert report.regions["tail"].accuracy.value == pytest.approx((0 + 0.5 + 0.5) / 3, abs=1e-6)
    assert report.regions["tail"].unscored_rate.value == pytest.approx(1 / 3, abs=1e-6)
    assert metrics(log)["unscored_rate"] == pytest.approx((12 / 15) / 3, abs=1e-6)


def test_responses_that_were_scored_alone_are_said(tmp_path):
    path = str(write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(3)]))
    report = report_log(run(tail_reward(path), f"{REWARDS}:group_rank", tmp_path).location)
    (warning,) = report.warnings
    assert (
        "in 1 judgments the call with all responses of the ladder failed (raised RuntimeError: out of memory)"
        in warning
    )
    assert not report_log(run(tail_reward(path), "builtin/longest", tmp_path).location).warnings
    short = report_log(run(tail_reward(path), f"{REWARDS}:too_few", tmp_path).location)
    assert "in 3 judgments" in short.warnings[0]
    assert "returned 3 rewards for 4 responses" in short.warnings[0]


def test_a_call_that_hangs_is_unscored_and_the_run_ends(tmp_path):
    """The hung call holds up the ladders that wait for it, not those that come after, nor the end of the process."""
    path = str(write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(6)]))
    log = run(tail_reward(path), f"{REWARDS}:hangs_on_2", tmp_path, time_limit=2, max_samples=1)
    report = report_log(log.location)
    assert (report.run.completed, report.run.total) == (6, 6)
    assert report.unscored.reasons == {"stopped by a limit before it was judged": 4}
    assert {e["ladder"] for e in report.unscored.first} == {"ladder-002"}


def test_stripping_that_leaves_nothing_is_unscored(tmp_path):
    record = ladder(1)
    record["responses"][2]["text"] = "<think>cut off</think>"
    path = str(write_jsonl(tmp_path / "cut.jsonl", [record]))
    report = report_log(run(tail_reward(path, thinking="strip"), "builtin/longest", tmp_path).location)
    assert report.unscored.reasons == {"nothing is left of the response without its reasoning": 1}


@pytest.mark.parametrize("tail", ["top_k:3", "top_fraction:0.75", "threshold:2", "quantile:0.5", "top_k:2"])
def test_rescoring_is_the_same_as_a_run_with_that_tail(data, tmp_path, tail):
    first = run(tail_reward(data, tail="top_k:4"), "builtin/random", tmp_path)
    other = run(tail_reward(data, tail=tail, min_margin=1), "builtin/random", tmp_path)
    again = score(first, ladder_scorer(tail=tail, min_margin=1), action="overwrite", display="none")
    assert metrics(again) == pytest.approx(metrics(other), nan_ok=True)
    report, expected = report_log(first.location, tail, 1.0), report_log(other.location)
    assert (report.regions, report.tail_gap, report.dataset) == (expected.regions, expected.tail_gap, expected.dataset)


def test_rescoring_that_leaves_nothing_is_refused(data, tmp_path):
    log = run(tail_reward(data), "builtin/random", tmp_path)
    for tail, margin in ((None, 99.0), ("threshold:99", None), (None, math.nan), ("top_k:2", -1.0)):
        with pytest.raises(tail_bench.InputError):
            report_log(log.location, tail, margin)


def test_a_quantile_is_of_the_whole_data_set_whatever_is_run(tmp_path):
    records = [ladder(n, k=2) for n in range(4)]
    for n, record in enumerate(records):
        for i, r in enumerate(record["responses"]):
            r["gold"] = float(n + 0.5 * i)
    path = str(write_jsonl(tmp_path / "graded.jsonl", records))
    log = run(tail_reward(path, tail="quantile:0.75"), "builtin/longest", tmp_path, limit=2)
    report = report_log(log.location)
    assert report.regions["tail"].accuracy.n_pairs == 0  # the two ladders that ran hold the lower golds
    assert report.regions["body"].accuracy.n_pairs == 2
    assert report.warnings == ["2 of the data set's 4 ladders were run"]


def test_epochs_are_averaged_within_their_ladder(data, tmp_path):
    one = run(tail_reward(data, tail="top_k:3"), "builtin/random", tmp_path)
    three = run(tail_reward(data, tail="top_k:3"), "builtin/random", tmp_path, epochs=3)
    expected = metrics(one) | {"n_tail_pairs": 3 * metrics(one)["n_tail_pairs"]}
    assert metrics(three) == pytest.approx(expected, nan_ok=True)
    assert report_log(three.location).run.total == 36


def test_scores_from_python_and_from_the_run_are_one_report(data, tmp_path):
    log = run(tail_reward(data, tail="top_k:2"), "builtin/longest", tmp_path)
    ladders = tail_bench.load(data)
    lengths = {x.id: [len(r.text) for r in x.responses] for x in ladders}
    report, expected = tail_bench.report(ladders, lengths, tail="top_k:2"), report_log(log.location)
    assert (report.regions, report.tail_gap, report.unscored) == (
        expected.regions,
        expected.tail_gap,
        expected.unscored,
    )
    assert report.dataset.fingerprint == expected.dataset.fingerprint


def test_the_cache_is_used_but_not_across_code_or_arguments(data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    from tests.providers import rewards

    def calls(**arguments):
        rewards.calls.clear()
        model = get_model(f"{REWARDS}:trl_counted", memoize=False, **arguments)
        log = run(tail_reward(data), model, tmp_path, cache=CachePolicy(expiry="1D"))
        assert log.status == "success"
        return len(rewards.calls)

    assert calls() == 12
    assert calls() == 0
    assert calls(format="conversational") == 12
    monkeypatch.setattr("tail_bench.providers.rm_python.PythonRewardModel.fingerprint", lambda self: "other code")
    assert calls() == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tial": "top_k:2"}, "no such -T parameter: tial; tail_reward has dataset, split, tail"),
        ({"tail": "top_k:1"}, "at least 2"),
        ({"tail": "best"}, "tiers:excellent,great | top_k:2"),
        ({"tail": ["tiers:excellent", "superb"]}, "tiers are excellent, great, good, poor"),
        ({"tail": "threshold:99"}, "golds run from 1 to 4"),
        ({"min_margin": -1}, "at least 0"),
        ({"min_margin": "wide"}, "at least 0"),
        ({"seed": "x"}, "whole number"),
        ({"thinking": "maybe"}, "keep, strip"),
        ({"split": "dev"}, "no ladder in split 'dev'"),
        ({"dataset": "no_such.jsonl"}, "no such file"),
        ({"dataset": "laders"}, "the embedded data set is called 'ladders'"),
    ],
)
def test_wrong_parameters_are_one_clear_message(data, arguments, said):
    with pytest.raises(PrerequisiteError) as error:
        tail_reward(**({"dataset": data} | arguments))
    assert said in error.value.message.replace("\\[", "[")


@pytest.mark.parametrize("name", ["tail_reward", "tail_judge", "tail_rubric"])
def test_the_tasks_folder_has_the_same_signatures(name):
    """tasks/ repeats the parameters, for Inspect to find and to check them."""
    path = Path(tail_bench.__file__).parent.parent / "tasks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"checkout_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert inspect.signature(getattr(module, name)) == inspect.signature(getattr(tail_bench.tasks, name))


def test_tiers_that_inspect_split_at_the_comma(tmp_path):
    records = [ladder(1)]
    for r, tier in zip(records[0]["responses"], ["excellent", "great", "good", "poor"], strict=True):
        r["tier"] = tier
    path = str(write_jsonl(tmp_path / "tiers.jsonl", records))
    task = tail_reward(path, tail=["tiers:excellent", "great"])
    assert task.dataset[0].metadata["tail"] == "tiers:excellent,great"


def test_a_model_that_writes_text_is_refused(data, tmp_path):
    with pytest.raises(PrerequisiteError) as error:
        eval(
            "tail_bench/tail_reward",
            model="mockllm/model",
            task_args={"dataset": data},
            log_dir=str(tmp_path),
            display="none",
        )
    assert "needs a reward model" in error.value.message
    log = run(tail_reward(data), "mockllm/model", tmp_path)  # the task was made before its model was known
    assert log.status == "error"
    assert "needs a reward model" in log.error.traceback


def test_the_log_survives_a_round_trip_and_json_format(data, tmp_path):
    log = run(tail_reward(data), "builtin/longest", tmp_path, log_format="json")
    assert report_log(log.location).to_json() == report_log(read_eval_log(log.location).location).to_json()


def test_a_log_that_contradicts_itself_is_refused(data, tmp_path):
    log = run(tail_reward(data), "builtin/longest", tmp_path, log_format="json", epochs=2)
    path = tmp_path / "changed.json"

    def refused(change):
        document = json.loads(Path(log.location).read_text())
        change(document["samples"])
        path.write_text(json.dumps(document))
        with pytest.raises(tail_bench.InputError) as error:
            report_log(str(path))
        return str(error.value)

    def kept(sample):
        return sample["scores"]["ladder_scorer"]["metadata"]

    partial = json.loads(Path(log.location).read_text())
    partial["samples"].pop()
    path.write_text(json.dumps(partial))
    assert (report_log(str(path)).run.completed, report_log(str(path)).run.total) == (23, 24)
    assert "is there twice (epoch 1)" in refused(lambda samples: samples.append(samples[0]))
    assert "different responses or golds" in refused(lambda samples: kept(samples[0])["golds"].reverse())
    assert "different tails" in refused(lambda samples: kept(samples[0]).update(tail="top_k:3"))
    assert "valid number" in refused(lambda samples: kept(samples[0])["judgment"]["scores"].update(r0="1.5"))
    assert "valid number" in refused(lambda samples: kept(samples[0])["judgment"]["scores"].update(r0=True))
