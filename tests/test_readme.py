"""The README's code runs, its output is what is printed, and CI runs its test command."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai.log import list_eval_logs

import tail_bench
from tail_bench.cli import main
from tail_bench.logs import report_log
from tail_bench.scorer import METRICS
from tail_bench.tasks import tail_reward
from tests.helpers import run, write_jsonl

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_ci_runs_the_readmes_test_command():
    _, test_command = blocks("sh")[:2]
    assert test_command.strip() in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_report_shown_is_the_one_printed(tmp_path):
    log = run(tail_reward(), "builtin/reference", tmp_path)
    printed = CliRunner().invoke(main, ["report", log.location]).stdout
    assert [line.rstrip() for line in printed.strip().splitlines()] == blocks("text")[0].strip().splitlines()


def test_the_reward_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_reward.py").write_text(blocks("python")[0])
    log = run(tail_reward(), "rm-python/my_reward:score", tmp_path)
    assert report_log(log.location).unscored.count == 0


def test_the_score_file_and_the_python_call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, score_file, call = blocks("python")
    exec(score_file, {})
    printed = CliRunner().invoke(main, ["report", "--scores", "rewards.jsonl", "--dataset", "ladders", "--json"]).stdout
    document = json.loads(printed)
    assert document["grader"]["name"] == "my-org/my-reward"
    exec(call, {})
    assert float(capsys.readouterr().out) == document["regions"]["tail"]["accuracy"]["value"]
    assert not list_eval_logs(str(tmp_path))


def test_the_data_set_shown_loads(tmp_path):
    (ladder,) = tail_bench.load(write_jsonl(tmp_path / "data.jsonl", [json.loads(blocks("json")[0])]))
    assert [r.tier for r in ladder.responses] == ["excellent", "great"]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_explained(metric):
    assert f"`{metric}`" in README


def test_nothing_in_the_readme_points_nowhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
