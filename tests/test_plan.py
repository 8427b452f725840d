"""tail-bench plan: what a run will ask, before anything is paid."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tail_bench.cli import main
from tail_bench.plan import plan
from tail_bench.prices import price_of
from tail_bench.tasks import tail_judge, tail_rubric
from tests.helpers import ladder, write_jsonl
from tests.loopback import completion, judged_by


@pytest.fixture
def rated(tmp_path):
    rubric = [{"criterion": "Good.", "weight": 1}, {"criterion": "Short.", "weight": 1}]
    return str(write_jsonl(tmp_path / "rated.jsonl", [ladder(n, rubric=rubric) for n in range(3)]))


@pytest.mark.parametrize(
    ("task", "arguments", "calls"),
    [
        (tail_judge, {}, 36),
        (tail_judge, {"mode": "pointwise", "votes": 2}, 24),
        (tail_judge, {"mode": "listwise"}, 6),
        (tail_rubric, {}, 12),
        (tail_rubric, {"verify": "each"}, 24),
    ],
)
def test_the_calls_planned_are_the_calls_made(rated, tmp_path, task, arguments, calls):
    arguments = {"dataset": rated, "tail": "top_k:3", **arguments}
    found = plan(task.__name__, "openai/gpt-4o-mini", arguments)
    assert found.calls == calls
    _, requests = judged_by(lambda r: completion("A"), task(**arguments), tmp_path)
    # a server that gives one reply where several are asked for is asked again for the rest
    assert len(requests) == calls
    sent = sum(len(m["content"]) for r in requests for m in r["messages"])
    assert sent / 7 < found.input_tokens < sent / 3
    price = price_of("openai/gpt-4o-mini")
    assert found.usd == pytest.approx(found.input_tokens * price.input + found.output_tokens * price.output, abs=1e-6)


def test_a_ladder_beyond_the_context_is_named(tmp_path):
    records = [ladder(0), ladder(1)]
    records[1]["responses"][0]["text"] = "word " * 9000
    path = str(write_jsonl(tmp_path / "long.jsonl", records))
    found = plan("tail_judge", "openai/gpt-4", {"dataset": path, "tail": "top_k:3"})
    assert (found.context, found.too_long) == (8192, ["ladder-001"])
    assert found.longest_question > 9000
    result = CliRunner().invoke(main, ["plan", "tail_judge", "--model", "openai/gpt-4", "-T", f"dataset={path}"])
    assert result.exit_code == 2 or "1 ladders do not fit the context" in result.output


def test_the_command_line(rated):
    arguments = ["plan", "tasks/tail_judge.py", "--model", "litellm/openai/gpt-4o", "-T", f"dataset={rated}"]
    arguments += ["-T", "mode=pointwise", "-T", "tail=top_k:3"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "ladders 3, questions 12 = 12 calls" in " ".join(result.output.split())
    result = CliRunner().invoke(main, [*arguments, "--limit", "1", "--json"])
    assert json.loads(result.stdout)["calls"] == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["tail_reward"],
            "a reward model is called once a ladder, so there is nothing to plan; there is tail_judge, tail_rubric",
        ),
        (["tail_judge", "-T", "moed=pairwise"], "no such -T parameter: moed; tail_judge has dataset, mode"),
        (["tail_judge", "-T", "mode"], "-T mode: must be NAME=VALUE"),
        (["tail_judge", "-T", "mode=pairs"], "mode=pairs: must be one of"),
        (["tail_judge", "-T", "tail=nonsense"], "nonsense"),
        (["tail_judge", "-T", "tail=threshold:99"], "no ladder has two responses of different quality in the tail"),
        (["tail_rubric", "-T", "rubric=none.jsonl"], "there is no such file"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_2(arguments, said):
    result = CliRunner().invoke(main, ["plan", *arguments, "--model", "openai/gpt-4o"])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_model_that_is_no_chat_model_and_texts_that_are_the_same(tmp_path):
    result = CliRunner().invoke(main, ["plan", "tail_judge", "--model", "openai/text-embedding-3-small"])
    assert result.exit_code == 2
    assert "needs a chat model" in result.stderr
    record = ladder(0)
    record["responses"][1]["text"] = record["responses"][0]["text"]
    path = str(write_jsonl(tmp_path / "same.jsonl", [record]))
    assert plan("tail_judge", "x/y", {"dataset": path, "mode": "pointwise", "tail": "top_k:3"}).calls == 3


def test_planted_texts_are_in_the_plan():
    plain, planted = (plan("tail_judge", "x/y", {"injection": injection}) for injection in (False, True))
    assert planted.calls == plain.calls
    assert planted.input_tokens > plain.input_tokens
