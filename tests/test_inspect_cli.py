"""The task through the real `inspect` command. A start costs CPU seconds: what can be shown in process is elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tail_bench.logs import report_log
from tests.helpers import ladder, write_jsonl
from tests.loopback import completion, question, quoted, serving

ROOT = Path(__file__).parent.parent
INSPECT = str(Path(sys.executable).parent / "inspect")

SLOW_REWARD = """
import time

def score(conversations):
    with open("calls.txt", "a") as file:
        file.write(conversations[0][0]["content"] + "\\n")
    time.sleep(0.2)
    return [float(len(c[-1]["content"])) for c in conversations]
"""


def command(*arguments, cwd):
    environment = os.environ | {"INSPECT_DISPLAY": "plain", "COLUMNS": "200"}
    return subprocess.Popen(
        [INSPECT, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def inspect(*arguments, cwd, code=0):
    process = command(*arguments, cwd=cwd)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code, output
    return output


def newest(folder: Path) -> str:
    return str(max(folder.glob("*.eval"), key=os.path.getmtime))


@pytest.fixture
def checkout(tmp_path):
    """A folder as a checkout is: tasks/ in it, the data beside it."""
    (tmp_path / "checkout").mkdir()
    shutil.copytree(ROOT / "tasks", tmp_path / "checkout" / "tasks")
    write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(5)])
    # What "../data.jsonl" is from tasks/, where Inspect runs a task file: not what the user means.
    write_jsonl(tmp_path / "checkout" / "data.jsonl", [ladder(n) for n in range(3)])
    return tmp_path / "checkout"


def test_from_a_checkout_with_a_path_from_where_the_user_is(checkout):
    given = ["-T", "dataset=../data.jsonl", "-T", "tail=top_k:3", "--log-dir", "logs"]
    output = inspect("eval", "tasks/tail_reward.py", "--model", "builtin/shortest", *given, cwd=checkout)
    assert "tail_accuracy_ci_low" in output
    report = report_log(newest(checkout / "logs"))
    assert report.regions["tail"].accuracy.value == 1
    assert (report.run.completed, report.run.total) == (5, 5)
    # another tail, no model call
    again = ["-S", "tail=top_k:2", "--action", "append", "--overwrite"]
    inspect("score", newest(checkout / "logs"), "--scorer", "tail_bench/ladder_scorer", *again, cwd=checkout)
    assert report_log(newest(checkout / "logs")).dataset.tail == "top_k:2"


def test_installed_with_several_models_in_a_set(tmp_path):
    models = "builtin/longest,builtin/random"
    inspect("eval-set", "tail_bench/tail_reward", "--model", models, "--log-dir", "logs", cwd=tmp_path)
    reports = [report_log(str(p)) for p in (tmp_path / "logs").glob("*.eval")]
    assert {r.grader.name for r in reports} == set(models.split(","))
    assert all(r.dataset.n_judged == 9 for r in reports)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "builtin/longest", "-T", "tial=top_k:2"], "no such -T parameter: tial"),
        (["--model", "openai/gpt-4o"], "tail_reward needs a reward model"),
        (["--model", "rm-python/no_such:f"], "no module 'no_such'"),
    ],
)
def test_wrong_input_is_one_message_and_exit_1(tmp_path, monkeypatch, arguments, said):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    output = inspect("eval", "tail_bench/tail_reward", *arguments, cwd=tmp_path, code=1)
    assert said in output
    assert "Traceback" not in output
    assert not (tmp_path / "logs").exists()


def test_killed_recovered_and_retried(tmp_path):
    """kill -9 in the middle of 27 ladders: what was finished is not judged again, and the report is the same."""
    write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(27)])
    (tmp_path / "slow_reward.py").write_text(SLOW_REWARD)
    calls = tmp_path / "calls.txt"
    eval_ = ["eval", "tail_bench/tail_reward", "--model", "rm-python/slow_reward:score", "-T", "dataset=data.jsonl"]
    eval_ += ["-T", "tail=top_k:3", "--max-samples", "3"]

    process = command(*eval_, "--log-dir", "logs", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not calls.exists() or calls.read_text().count("\n") < 12):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    begun = calls.read_text().splitlines()
    assert 12 <= len(begun) < 27

    inspect("log", "recover", newest(tmp_path / "logs"), cwd=tmp_path)
    recovered = newest(tmp_path / "logs")
    partial = report_log(recovered)
    assert 6 <= partial.run.completed < 27
    assert any("of 27 judgments were made" in w for w in partial.warnings)
    inspect("eval-retry", recovered, "--log-dir", "logs", cwd=tmp_path)
    resumed = newest(tmp_path / "logs")
    asked = Counter(calls.read_text().splitlines())
    finished = {f"Question {int(i.split('-')[1])}?" for i in judged(recovered)}
    assert len(asked) == 27
    assert all(asked[question] == 1 for question in finished)

    inspect(*eval_, "--log-dir", "whole", cwd=tmp_path)
    whole = json.loads(report_log(newest(tmp_path / "whole")).to_json())
    assert json.loads(report_log(resumed).to_json()) == whole


def test_a_judge_killed_recovered_and_retried(tmp_path, monkeypatch):
    """The same with a judge: no comparison of a finished ladder is paid for twice."""
    write_jsonl(tmp_path / "data.jsonl", [ladder(n, k=3) for n in range(12)])
    asked: list[str] = []

    def answer(request):
        asked.append(question(request))
        time.sleep(0.1)
        return completion("A" if len(quoted(request)["response_a"]) % 2 else "B")

    with serving(answer) as server:
        monkeypatch.setenv("LOOP_BASE_URL", server.url)
        monkeypatch.setenv("LOOP_API_KEY", "none")
        eval_ = ["eval", "tail_bench/tail_judge", "--model", "openai-api/loop/judge", "-T", "dataset=data.jsonl"]
        eval_ += ["-T", "tail=top_k:3", "--max-samples", "2", "--max-connections", "4"]
        process = command(*eval_, "--log-dir", "logs", cwd=tmp_path)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(asked) < 36:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert 36 <= len(asked) < 72
        inspect("log", "recover", newest(tmp_path / "logs"), cwd=tmp_path)
        recovered = newest(tmp_path / "logs")
        finished = {f"Question {int(i.split('-')[1])}?" for i in judged(recovered)}
        assert 3 <= len(finished) < 12
        inspect("eval-retry", recovered, "--log-dir", "logs", cwd=tmp_path)
        counts = Counter(asked)
        assert len(counts) == 72
        assert all(n == 1 for text, n in counts.items() if any(f"\n{q}\n" in text for q in finished))
        report = report_log(newest(tmp_path / "logs"))
        assert (report.run.completed, report.run.total) == (12, 12)
        assert report.verdicts.replies == 72
        assert report.cost.calls == 72


def judged(log: str) -> set[str]:
    from inspect_ai.log import read_eval_log

    return {str(s.id) for s in read_eval_log(log).samples if s.scores}
