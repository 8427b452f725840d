"""What a report says of how scores were computed: facts, cut responses, steps, second scorings."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from inspect_ai.model import ChatMessageAssistant, GenerateConfig, ModelOutput, get_model, modelapi

from tail_bench.cli import main
from tail_bench.judgments import Judgment
from tail_bench.logs import report_log
from tail_bench.providers.reward_model import Reward, RewardModelAPI
from tail_bench.records import JudgmentRecord
from tail_bench.sections import facts, scoring
from tail_bench.stats.figures import Intervals
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl

HOW = Intervals(True, 1000, 0)


def judged(number, scores, again=None, **fields):
    names = [f"r{i}" for i in range(len(scores))]
    second = dict(zip(names, again or [], strict=False))
    return Judgment(f"ladder-{number}", dict(zip(names, scores, strict=True)), again=second, **fields)


@pytest.mark.parametrize(
    ("scores", "again", "rate"),
    [
        ([1.0, 2.0, 3.0], [1.1, 2.2, 2.9], 0.0),  # other numbers, the same order
        ([1.0, 2.0, 3.0], [2.0, 1.0, 3.0], 1 / 3),
        ([1.0, 1.0, 3.0], [1.0, 1.1, 3.0], 1 / 3),  # a tie that is none the second time
        ([1.0, 2.0, None], [2.0, 1.0, 3.0], 1.0),  # unscored ones take no part
    ],
)
def test_pairs_that_come_out_otherwise(scores, again, rate):
    figure = scoring([judged(n, scores, again) for n in range(3)], HOW).repeat_flip_rate
    assert figure.value == pytest.approx(rate, abs=1e-6)
    assert figure.n_ladders == 3


def test_without_a_second_scoring_nothing_is_said():
    found = scoring([judged(0, [1.0, 2.0])], HOW)
    assert found.repeat_flip_rate.value is None
    assert found.repeat_flip_rate.reason == "no ladder was scored twice"


def test_the_smallest_step_is_within_a_ladder():
    found = scoring([judged(0, [16.0, 16.125, 17.0, 16.0]), judged(1, [16.01, 18.0, None])], HOW)
    assert found.score_resolution == 0.125
    assert scoring([judged(0, [1.0, 1.0])], HOW).score_resolution is None
    assert scoring([judged(0, [None, None])], HOW) is None


def test_facts_that_differ_are_a_warning():
    agreed, warnings = facts(
        [
            judged(0, [1.0], facts={"dtype": "float32", "engine": "x", "warnings": ["one", "two"]}),
            judged(1, [1.0], facts={"dtype": "bfloat16", "engine": "x", "warnings": ["two"]}),
        ]
    )
    assert agreed == {"engine": "x"}
    assert warnings[:2] == ["one", "two"]
    assert warnings[2] == "scores of one run were computed in different ways (dtype: float32 and bfloat16)"


@modelapi(name="coarse")
class Coarse(RewardModelAPI):
    """A reward whose second scoring depends on nothing but chance, as of arithmetic."""

    repeats = True

    def __init__(self, model_name, base_url=None, api_key=None, config=GenerateConfig()):  # noqa: B008
        super().__init__(model_name, base_url, api_key, [], config)
        self.asked = []

    def fingerprint(self):
        return ""

    def facts(self):
        return {
            "engine": "[bold]mine",
            "dtype": "int8",
            "activation": "none",
            "name": "another",
            "warnings": ["[red]x"],
        }

    async def score(self, request):
        self.asked.append((request.again, request.truncate))
        sign = -1 if request.again else 1
        return [Reward(sign * float(len(r.text)), truncated=request.truncate) for r in request.responses]


@pytest.fixture
def coarse(tmp_path):
    model = get_model("coarse/reward", memoize=False)
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(21)])
    log = run(tail_reward(dataset=str(data), truncate=True), model, tmp_path)
    return model.api, log.location


def test_one_ladder_in_ten_is_scored_twice(coarse):
    api, location = coarse
    assert sum(again for again, _ in api.asked) == 3
    assert all(truncate for _, truncate in api.asked)
    report = report_log(location)
    assert report.scoring.repeat_flip_rate.value == 1
    assert report.scoring.truncated == 84
    assert report.scoring.score_resolution == 5
    assert any("scored a second time in other batches" in w for w in report.warnings)
    assert report.cost.calls == 24


def test_what_is_printed(coarse):
    _, location = coarse
    printed = " ".join(CliRunner().invoke(main, ["report", location]).stdout.split())
    assert "Scored by [bold]mine, in int8; 84 responses cut to fit." in printed  # as text, not as markup
    assert (
        "Smallest step between two scores of a ladder: 5; scored a second time in other batches (3 ladders), 1.00"
        in printed
    )
    assert "Warning: [red]x" in printed
    assert report_log(location).grader.name == "coarse/reward"


def test_a_stranger_may_not_name_responses_that_are_not_there(coarse):
    from inspect_ai.log import read_eval_log, write_eval_log

    _, location = coarse
    log = read_eval_log(location)
    log.samples[0].scores["ladder_scorer"].metadata["judgment"]["truncated"] = ["nowhere"]
    write_eval_log(log, location)
    with pytest.raises(ValueError, match="names responses that the ladder does not have"):
        report_log(location)


def test_a_reward_model_without_doubt_is_asked_once(four, tmp_path):
    log = run(tail_reward(dataset=four), "builtin/longest", tmp_path)
    assert report_log(log.location).scoring.repeat_flip_rate.value is None
    assert report_log(log.location).cost.calls == 3


def test_the_record_of_a_judgment_is_short_where_there_is_nothing_to_say(four, tmp_path):
    log = run(tail_reward(dataset=four), "builtin/longest", tmp_path)
    kept = JudgmentRecord.model_validate(log.samples[0].scores["ladder_scorer"].metadata["judgment"])
    assert (kept.truncated, kept.again, kept.facts) == ([], {}, {})
    assert isinstance(log.samples[0].output, ModelOutput)
    assert isinstance(log.samples[0].output.choices[0].message, ChatMessageAssistant)
