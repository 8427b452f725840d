"""A real language model as judge and as verifier: what it gives is asked for, read and reported.

It needs `python scripts/local_llm.py --fetch` once. `pytest -m "llm and not more"` makes 36 calls, `pytest -m llm` 60.
The model has no judgement to speak of, which is what a report must show.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from inspect_ai.model import get_model

from tail_bench.logs import report_log
from tail_bench.tasks import tail_judge, tail_rubric
from tests.helpers import run, write_jsonl

pytestmark = pytest.mark.llm
more = pytest.mark.more

QUESTIONS = [
    ("What is 2 + 3?", "2 + 3 is 5.", "2 + 3 is 6."),
    ("Name the capital of France.", "The capital of France is Paris.", "The capital of France is Rome."),
    ("Is 9 a prime number?", "No, 9 is 3 times 3.", "Yes, 9 is prime."),
]
RUBRIC = [{"criterion": "The answer is correct.", "weight": 1}]


@pytest.fixture(scope="module")
def url():
    pytest.importorskip("xllamacpp")
    path = Path(__file__).parent.parent / "scripts" / "local_llm.py"
    spec = importlib.util.spec_from_file_location("local_llm", path)
    local_llm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(local_llm)
    with local_llm.serve(context=2048) as url:
        yield url


@pytest.fixture
def data(tmp_path):
    records = [
        {
            "id": f"q{n}",
            "prompt": prompt,
            "responses": [{"id": "right", "text": right, "gold": 1}, {"id": "wrong", "text": wrong, "gold": 0}],
            "rubric": RUBRIC,
        }
        for n, (prompt, right, wrong) in enumerate(QUESTIONS)
    ]
    return str(write_jsonl(tmp_path / "questions.jsonl", records))


LITELLM, OPENAI = "litellm/openai/SmolLM2-135M-Instruct", "openai-api/local/SmolLM2-135M-Instruct"


def judged(task, url, provider, tmp_path):
    model = get_model(provider, base_url=url, api_key="none", memoize=False)
    log = run(task, model, tmp_path, max_tokens=16)
    assert log.status == "success", log.error
    report = report_log(log.location)
    assert report.verdicts.replies == 6  # three ladders of two: both orders, or each response
    assert report.cost.calls == 6
    assert report.cost.input_tokens > 600
    return report


@pytest.mark.parametrize("provider", [LITELLM, OPENAI])
def test_pairwise_by_log_probabilities(data, url, tmp_path, provider):
    report = judged(tail_judge(data), url, provider, tmp_path)
    assert 0.05 < report.verdicts.mass.value < 0.9
    assert sum(report.verdicts.p_source.values()) + report.verdicts.unread == 6
    assert report.bias.position.first_rate.value > 0.5  # it likes A
    assert report.regions["all"].calibration.native.overconfidence.value is not None
    assert any("of the probability lies on verdicts" in w for w in report.warnings)


@pytest.mark.parametrize("provider", [LITELLM, pytest.param(OPENAI, marks=more)])
def test_pointwise(data, url, tmp_path, provider):
    report = judged(tail_judge(data, mode="pointwise"), url, provider, tmp_path)
    assert 0 < report.verdicts.mass.value < 0.98
    assert report.bias is None


@pytest.mark.parametrize("provider", [LITELLM, pytest.param(OPENAI, marks=more)])
def test_listwise(data, url, tmp_path, provider):
    report = judged(tail_judge(data, mode="listwise"), url, provider, tmp_path)
    assert report.verdicts.mass.value is None
    assert report.verdicts.unread == sum(report.unscored.reasons.values()) / 2 or report.unscored.count <= 6


@pytest.mark.parametrize("provider", [OPENAI, pytest.param(LITELLM, marks=more)])
def test_criteria_each(data, url, tmp_path, provider):
    report = judged(tail_rubric(data, verify="each", soft=True), url, provider, tmp_path)
    assert 0 < report.verdicts.mass.value < 1
    (criterion,) = report.rubric.criteria
    assert criterion.n_ladders == 3


@pytest.mark.parametrize("provider", [OPENAI, pytest.param(LITELLM, marks=more)])
def test_criteria_together(data, url, tmp_path, provider):
    report = judged(tail_rubric(data), url, provider, tmp_path)
    assert report.rubric.unanswered_rate.value is not None
    assert report.verdicts.mass.value is None
