"""tail-bench score: the rewards of a run of tail_reward, in a file that survives a kill and says how it was made."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.model import GenerateConfig, Model

from tail_bench.bulk import engines, scoring
from tail_bench.bulk.engines import ENGINES, EngineSettings, ProviderEngine, make_engine
from tail_bench.bulk.progress import progress
from tail_bench.bulk.score_file import Journal, write_scores
from tail_bench.bulk.scoring import ScoringSettings, ScoringStoppedError, score_dataset
from tail_bench.cli import main
from tail_bench.errors import InputError
from tail_bench.graders.messages import text_of
from tail_bench.judgments import Judgment, judgment_of, read_scores, record_of
from tail_bench.ladders.load import load_dataset
from tail_bench.providers.reward_model import Reward, RewardModelAPI
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl

REWARDS = """
import asyncio, math, os, time

def by_order(conversations):
    "Depends on where a response is shown, and on the group."
    return [place + len(c[-1]["content"]) / len(conversations) for place, c in enumerate(conversations)]

def columns(prompts, completions, hint):
    return [float(len(c)) * h for c, h in zip(completions, hint)]

async def waits(completions, **columns):
    await asyncio.sleep(0.001)
    return [float(len(c)) for c in completions]

def one_raises(conversations):
    found = []
    for c in conversations:
        if "answer 1 more more more " in c[-1]["content"] + " ":
            raise RuntimeError("too [bold]long[/bold] \\ud800")
        found.append(float(len(c[-1]["content"])))
    return found

def nan(conversations):
    return [math.nan, *[1.0] * (len(conversations) - 1)]

def all_raise(conversations):
    raise RuntimeError("no GPU")

def kept(conversations):
    return [float("secret plan" in str(c)) for c in conversations]

def slow(conversations):
    time.sleep(0.02)
    return [float(len(c[-1]["content"])) for c in conversations]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of the test's own to work in, with a data set and a module of reward functions that nobody else has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "own_rewards", raising=False)
    Path("own_rewards.py").write_text(REWARDS)
    write_jsonl(tmp_path / "data.jsonl", [ladder(n, hint=n) for n in range(12)])
    yield tmp_path
    sys.modules.pop("own_rewards", None)


def invoke(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


def score(*arguments, model="builtin/longest", out="out.jsonl", dataset="data.jsonl", code=0):
    return invoke("score", "--model", model, "--dataset", dataset, "--out", out, *arguments, code=code)


def scores_of(path):
    return {j.ladder: dict(j.scores) for j in read_scores(path).judgments}


class Scripted(RewardModelAPI):
    """Rewards as a test scripts them: `answer` gets the number of the call and the request."""

    def __init__(self, answer, facts=lambda: {}, seconds=0.001):
        super().__init__("scripted", None, None, [], GenerateConfig())
        self.answer, self.say, self.seconds = answer, facts, seconds
        self.calls = self.running = self.most = 0
        self.closed = False

    async def score(self, request):
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        call = self.calls
        await asyncio.sleep(self.seconds * (1 + call % 3))
        self.running -= 1
        return self.answer(call, request)

    def fingerprint(self):
        return "scripted"

    def facts(self):
        return self.say()

    def should_retry(self, error):
        return isinstance(error, httpx.ConnectError)

    def retry_wait(self):
        return lambda state: 0.0

    async def aclose(self):
        self.closed = True


def lengths(call, request):
    return [Reward(float(len(text_of(r)))) for r in request.responses]


def score_with(api, out="out.jsonl", in_flight=4, max_retries=2, **how):
    dataset = load_dataset("data.jsonl")
    engine = ProviderEngine(Model(api, GenerateConfig()), in_flight, max_retries)
    return score_dataset(dataset, engine, Path(out), ScoringSettings(**how), {"model": "scripted"}, "local")


# The rewards


@pytest.mark.parametrize(
    ("model", "how"),
    [
        ("rm-python/own_rewards:by_order", {"seed": 3}),
        ("rm-python/own_rewards:columns", {}),
        ("rm-python/own_rewards:waits", {}),
        ("rm-python/own_rewards:one_raises", {}),
        ("rm-python/own_rewards:nan", {}),
        ("builtin/longest", {}),
        ("builtin/random", {}),
        ("builtin/first", {"seed": 1}),
    ],
)
@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_the_same_as_a_run_of_the_task(here, model, how, out):
    log = run(tail_reward("data.jsonl", **how), model, here)
    judgments = {s.id: s.metadata["judgment"] for s in log.samples}
    score(*(x for name, value in how.items() for x in (f"--{name}", value)), model=model, out=out)
    assert scores_of(out) == {i: j["scores"] for i, j in judgments.items()}
    if model.endswith("by_order"):
        assert len({tuple(sorted(s, key=s.get)) for s in scores_of(out).values()}) > 1
    ours = json.loads(invoke("report", "--scores", out, "--dataset", "data.jsonl", "--json").stdout)
    theirs = json.loads(invoke("report", log.location, "--json").stdout)
    written = theirs["unscored"]["reasons"].items()
    theirs["unscored"]["reasons"] = {why.replace("\ud800", "?"): n for why, n in written}
    for part in ("regions", "tail_gap", "scoring"):
        assert ours[part] == theirs[part], part
    assert ours["unscored"]["count"] == theirs["unscored"]["count"]
    assert len(ours["warnings"]) == len(theirs["warnings"])


@pytest.mark.parametrize("thinking", ["keep", "strip"])
def test_thinking_as_in_the_task(here, thinking):
    records = [ladder(n) for n in range(3)]
    records[0]["responses"][0]["text"] = "<think>secret plan</think>done"
    records[0]["responses"][1]["reasoning"] = "secret plan"
    records[1]["responses"][2]["text"] = "<think>secret plan, cut off"
    records[2]["responses"] = [r | {"text": "<think>secret plan"} for r in records[2]["responses"]]
    write_jsonl(here / "think.jsonl", records)
    log = run(tail_reward("think.jsonl", thinking=thinking), "rm-python/own_rewards:kept", here)
    score("--thinking", thinking, model="rm-python/own_rewards:kept", dataset="think.jsonl")
    assert scores_of("out.jsonl") == {s.id: s.metadata["judgment"]["scores"] for s in log.samples}
    said = [dict(j.reasons) for j in read_scores("out.jsonl").judgments]
    assert said == [s.metadata["judgment"]["reasons"] for s in log.samples]
    assert (said[2] != {}) == (thinking == "strip")  # a ladder of which nothing is left is not asked about


def test_what_is_sent_and_what_is_kept(here):
    seen = []

    def answer(call, request):
        seen.append(request)
        rewards = lengths(call, request)
        return [Reward(None, "too long"), rewards[1]._replace(truncated=True), *rewards[2:]]

    done = score_with(Scripted(answer), truncate=True)
    assert all(request.truncate and not request.again for request in seen)
    assert (done.responses, done.unscored, done.reasons) == (48, 12, {"too long": 12})
    for judgment in read_scores("out.jsonl").judgments:
        assert len(judgment.truncated) == 1
        assert [judgment.scores[r] for r in judgment.reasons] == [None]
    document = json.loads(invoke("report", "--scores", "out.jsonl", "--dataset", "data.jsonl", "--json").stdout)
    assert document["unscored"]["reasons"] == {"too long": 12}
    assert document["scoring"]["truncated"] == 12


@pytest.mark.parametrize("found", [[Reward(1.0)], [Reward(1.0)] * 5])
def test_rewards_of_another_number_are_nobodys(here, found):
    done = score_with(Scripted(lambda call, request: found))
    assert done.reasons == {f"{len(found)} rewards came back for 4 responses": 48}


def test_what_is_not_finite_is_unscored(here):
    done = score_with(Scripted(lambda call, request: [Reward(math.inf), Reward(math.nan), Reward(1.0), Reward(2.0)]))
    assert done.reasons == {"returned inf": 12, "returned nan": 12}


@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_limit_and_split(here, out):
    write_jsonl(here / "split.jsonl", [ladder(n, split="a" if n % 2 else "b") for n in range(12)])
    printed = score("--limit", 2, "--split", "a", dataset="split.jsonl", out=out).stdout
    assert list(scores_of(out)) == ["ladder-001", "ladder-003"]
    command = printed.splitlines()[-1].removeprefix("Next: tail-bench ").split()
    report = json.loads(invoke(*command, "--json").stdout)
    found = report["dataset"]
    assert (found["name"], found["n_judged"], found["n_ladders"]) == ("split", 2, 6)
    assert "2 of the data set's 6 ladders were run" in report["warnings"]
    score("--split", "a", "--limit", 99, dataset="split.jsonl", out="all" + out)
    assert (
        json.loads(invoke("report", "--scores", f"all{out}", *command[3:], "--json").stdout)["dataset"]["n_ladders"]
        == 6
    )


# The file


def test_the_header_says_how(here):
    facts = {"engine": "transformers 5", "dtype": "bfloat16", "template_hash": "abc", "warnings": ["a head of bf16"]}
    score_with(Scripted(lengths, lambda: facts), seed=4)
    header = read_scores("out.jsonl").header
    assert facts.items() <= header.items()
    assert header["model"] == "scripted"
    assert (header["dataset"], header["dataset_fingerprint"]) == ("data", load_dataset("data.jsonl").fingerprint)
    assert (header["thinking"], header["truncate"], header["seed"], header["tail_bench"]) == ("keep", False, 4, "0.1.0")
    document = json.loads(invoke("report", "--scores", "out.jsonl", "--dataset", "data.jsonl", "--json").stdout)
    assert "a head of bf16" in document["warnings"]
    assert document["grader"]["dtype"] == "bfloat16"


def test_scores_computed_in_two_ways_are_said_to_be(here):
    kinds = iter(["float32"] * 5 + ["bfloat16"] * 7)
    score_with(Scripted(lengths, lambda: {"dtype": next(kinds), "revision": "main"}))
    header = read_scores("out.jsonl").header
    assert header["revision"] == "main"
    assert "dtype" not in header
    assert "computed in different ways (dtype: float32 and bfloat16)" in header["warnings"][0]


def test_a_model_of_the_installed_registry_is_found_and_named(here):
    score()
    header = read_scores("out.jsonl").header
    assert (header["model"], header["engine"], header["model_args"]) == ("builtin/longest", "local", {})


def test_secrets_do_not_reach_the_file(here):
    given = {"api_key": "a", "hf_token": "a", "PASSWORD": "a", "extra_headers": {"x": "a"}, "template": {"secret": "a"}}
    shown = scoring._without_secrets(given | {"dtype": "auto", "token_logit": 7})
    assert "a" not in json.dumps(shown).replace("***", "").replace('"auto"', "").split('"')
    assert shown["template"] == {"secret": "***"}
    assert (shown["dtype"], shown["token_logit"]) == ("auto", 7)
    score("-M", "format=standard", "-M", "api_key=hunter2", model="rm-python/own_rewards:waits")
    assert read_scores("out.jsonl").header["model_args"] == {"format": "standard", "api_key": "***"}
    assert "hunter2" not in Path("out.jsonl").read_text()


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
reasons = st.text(max_size=20)  # a reason may quote half a character
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def judgments(draw):
    scores = draw(st.dictionaries(ids, numbers, min_size=1, max_size=5))
    return Judgment(
        draw(ids),
        scores,
        reasons={r: draw(reasons) for r, s in scores.items() if s is None},
        alone=draw(st.none() | ids),
        truncated=tuple(draw(st.lists(st.sampled_from(sorted(scores)), unique=True))),
    )


@pytest.mark.parametrize("name", ["s.jsonl", "s.parquet"])
@given(drawn=st.lists(judgments(), min_size=1, max_size=5, unique_by=lambda j: j.ladder))
@settings(deadline=None, max_examples=100)
def test_what_is_written_is_read(tmp_path_factory, name, drawn):
    folder = tmp_path_factory.mktemp("written")
    journal = Journal(folder / "j.partial", {"model": "m"})
    for judgment in drawn:
        journal.add(judgment)
    journal.close()
    again = Journal(folder / "j.partial", {"model": "m"})
    again.remove()
    assert again.judgments == journal.judgments
    write_scores(folder / name, {"model": "m", "note": "a\n\u2028b"}, list(journal.judgments.values()))
    file = read_scores(folder / name)
    assert file.header == {"model": "m", "note": "a\n\u2028b"}
    whole = [(j.ladder, dict(j.scores), j.alone, j.truncated) for j in drawn]
    assert [(j.ladder, dict(j.scores), j.alone, j.truncated) for j in file.judgments] == whole
    assert [str(j.scores) for j in file.judgments] == [str(j.scores) for j in drawn]  # -0.0 too
    clean = [{r: w.encode("utf-8", "replace").decode() for r, w in j.reasons.items()} for j in drawn]
    assert [dict(j.reasons) for j in file.judgments] == clean


def test_parquet_holds_maps(here):
    score(out="out.parquet")
    schema = pq.read_schema("out.parquet")
    assert [str(schema.field(n).type).split(" (")[0] for n in ("id", "scores")] == ["string", "map<string, double"]
    assert json.loads(schema.metadata[b"header"])["model"] == "builtin/longest"


# Going on


def fails_at(number, error):
    def answer(call, request):
        if call == number:
            raise error
        return lengths(call, request)

    return answer


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_what_was_done_is_kept_and_not_done_again(here, monkeypatch, by_hand, out):
    api = Scripted(lengths if by_hand else fails_at(8, RuntimeError("CUDA error: out of memory")))

    def facts():
        if by_hand and api.calls > 7:
            raise KeyboardInterrupt  # as Ctrl-C would, in the thread that writes
        return {}

    api.say = facts
    with pytest.raises(ScoringStoppedError) as stopped:
        score_with(api, out=out)
    assert api.closed
    kept = len(Path(f"{out}.partial").read_text().splitlines()) - 1
    assert 3 <= kept <= 11
    assert f"{kept} of 12 ladders are in {out}.partial: run the same command again to go on" in str(stopped.value)
    assert ("stopped" if by_hand else "RuntimeError: CUDA error") in str(stopped.value)
    assert not Path(out).exists()
    api = Scripted(lengths)
    assert score_with(api, out=out).resumed == kept
    assert api.calls == 12 - kept
    assert api.closed
    score_with(Scripted(lengths), out=f"once.{out}")
    assert scores_of(out) == scores_of(f"once.{out}")
    assert sorted(p.name for p in here.glob("out*")) == [out]


def test_a_dead_server_ends_the_command_with_1(here, monkeypatch):
    api = Scripted(fails_at(1, RuntimeError("[red]gone[/red]")))
    monkeypatch.setattr("inspect_ai.model.get_model", lambda *a, **b: Model(api, GenerateConfig()))
    result = score(code=1)
    assert result.stdout == ""
    assert "Error: RuntimeError: [red]gone[/red]\n" in result.stderr
    assert "run the same command again to go on" in result.stderr
    assert "(" in score().stdout  # from before


def test_the_last_line_may_be_torn(here):
    with pytest.raises(ScoringStoppedError):
        score_with(Scripted(fails_at(9, RuntimeError())), in_flight=1)
    journal = Path("out.jsonl.partial")
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-10])
    api = Scripted(lengths)
    assert score_with(api).resumed == 7
    assert api.calls == 5
    assert len(scores_of("out.jsonl")) == 12
    journal.write_bytes(whole[:20])  # killed at its first line
    Path("out.jsonl").unlink()
    assert score_with(Scripted(lengths)).resumed == 0


def test_a_journal_that_was_changed_is_not_believed(here):
    with pytest.raises(ScoringStoppedError):
        score_with(Scripted(fails_at(4, RuntimeError())), in_flight=1)
    journal = Path("out.jsonl.partial")
    whole = journal.read_text()
    for text in (whole.replace('"scores"', '"score"'), whole.replace('{"id"', "{'id'"), "[]\n" + whole, "{}\n"):
        journal.write_text(text)
        with pytest.raises(InputError, match=r"out.jsonl.partial:\d: .*delete it, or choose another --out"):
            score_with(Scripted(lengths))


@pytest.mark.parametrize("whole", [True, False])
def test_other_settings_are_refused(here, whole):
    if whole:
        score_with(Scripted(lengths))
    else:
        with pytest.raises(ScoringStoppedError):
            score_with(Scripted(fails_at(9, RuntimeError())))
    (file,) = here.glob("out*")
    before = file.read_bytes()
    for how, said in (
        ({"seed": 2}, "seed: 0 there, 2 now"),
        (
            {"thinking": "strip", "truncate": True},
            'thinking: "keep" there, "strip" now; truncate: false there, true now',
        ),
        ({"limit": 3}, "limit: null there, 3 now"),
    ):
        with pytest.raises(InputError) as error:
            score_with(Scripted(lengths), **how)
        assert said in str(error.value)
        assert f"{file.name} " in str(error.value)
        assert "delete it, or choose another --out" in str(error.value)
    other = Scripted(lengths)
    other.fingerprint = lambda: "other"
    with pytest.raises(InputError, match="the model itself, its code, files, arguments or address, has changed"):
        score_with(other)
    write_jsonl(here / "data.jsonl", [ladder(n) for n in range(13)])
    with pytest.raises(InputError, match="dataset_fingerprint"):
        score_with(Scripted(lengths))
    assert file.read_bytes() == before


def test_a_changed_reward_function_is_refused(here):
    score(model="rm-python/own_rewards:waits")
    sys.modules.pop("own_rewards")
    Path("own_rewards.py").write_text(REWARDS + "\nmore = 1\n")
    assert "the model itself" in score(model="rm-python/own_rewards:waits", code=2).stderr


def test_a_complete_file_is_not_computed_again(here):
    first = score()
    before = Path("out.jsonl").stat()
    Path("out.jsonl.partial").write_text("left by a kill between the last two steps")
    again = score()
    assert again.stdout == first.stdout.replace("Wrote", "Already scored:")
    assert Path("out.jsonl").stat() == before
    assert not Path("out.jsonl.partial").exists()
    Path("out.jsonl").write_text("mine")
    assert "is there already and is no score file" in score(code=2).stderr
    Path("out.jsonl").write_text('{"id": "a", "scores": {"x": 1}}')
    assert "was not written by tail-bench score" in score(code=2).stderr


def test_killed_and_run_again(here):
    write_jsonl(here / "data.jsonl", [ladder(n) for n in range(150)])
    arguments = ["score", "--model", "rm-python/own_rewards:slow", "--dataset", "data.jsonl", "--out", "out.jsonl"]
    journal = Path("out.jsonl.partial")
    with subprocess.Popen([sys.executable, "-m", "tail_bench.cli", *arguments]) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") > 20:
                break
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    kept = journal.read_bytes().count(b"\n") - 1
    assert 20 <= kept < 150
    assert f"({kept} ladders were there from before)" in invoke(*arguments).stdout
    assert len(scores_of("out.jsonl")) == 150


# Engines


def test_as_many_ladders_in_flight_as_asked(here):
    for in_flight in (1, 5, 64):
        api = Scripted(lengths, seconds=0.1)
        score_with(api, in_flight=in_flight, out=f"{in_flight}.jsonl")
        assert api.most == min(in_flight, 12)
    assert scores_of("1.jsonl") == scores_of("64.jsonl")


def test_requests_are_made_when_they_are_needed(here):
    taken = []

    def requests():
        for x in load_dataset("data.jsonl").ladders:
            taken.append(x.id)
            yield x.id, scoring._ask(x, ScoringSettings())[1]

    found = ProviderEngine(Model(Scripted(lengths), GenerateConfig()), 2, 0).score(requests())
    for number in range(1, 4):
        next(found)
        assert len(taken) <= number + 2
    found.close()


def test_failed_calls_are_made_again_and_said_once(here, caplog):
    down = httpx.ConnectError("connection refused")
    asked = Counter()

    def answer(call, request):
        asked[request.prompt[0].text] += 1
        if asked[request.prompt[0].text] <= 2:
            raise down
        return lengths(call, request)

    assert score_with(Scripted(answer), max_retries=3).unscored == 0
    assert [r.getMessage().split(";")[0] for r in caplog.records] == ["ConnectError: connection refused"] * 2
    api = Scripted(lambda call, request: (_ for _ in ()).throw(down))
    with pytest.raises(ScoringStoppedError, match="ConnectError: connection refused\n0 of 12 ladders"):
        score_with(api, out="dead.jsonl", max_retries=2, in_flight=1)
    assert api.calls == 3
    assert api.closed


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("http", "rm/org/model", "--engine http asks a server, which rm-server/MODEL names; rm/org/model runs in"),
        ("local", "rm-server/m", "--engine local runs a model in this process, and rm-server/m is served: use http"),
        ("ray", "rm/org/model", "--engine ray: there is local, http"),
    ],
)
def test_an_engine_that_cannot_score_the_model(name, model, said):
    with pytest.raises(InputError, match=said):
        make_engine(name, EngineSettings(model))


def test_each_model_gets_its_engine(monkeypatch):
    made = []
    monkeypatch.setattr(engines, "_of_provider", lambda settings, in_flight: made.append((settings.model, in_flight)))
    for model in ("rm-server/m", "rm/m", "rm-dpo/m", "builtin/longest", "rm-python/a:b"):
        make_engine(engines.default_engine(model), EngineSettings(model))
    make_engine("http", EngineSettings("rm-server/m", max_connections=7))
    assert made == [
        ("rm-server/m", 32), ("rm/m", 64), ("rm-dpo/m", 64), ("builtin/longest", 64), ("rm-python/a:b", 64),
        ("rm-server/m", 7),
    ]  # fmt: skip


def test_another_engine_plugs_in(here, monkeypatch):
    class Bulk:
        """Takes all requests at once and gives them back last first."""

        def fingerprint(self):
            return "1"

        def score(self, requests):
            for name, request in reversed(list(requests)):
                yield name, lengths(0, request)

        def facts(self):
            return {"engine": "bulk 1.0"}

    monkeypatch.setitem(ENGINES, "bulk", lambda settings: Bulk())
    score("--engine", "bulk", model="rm/any")
    score(out="longest.jsonl")
    assert scores_of("out.jsonl") == scores_of("longest.jsonl")
    assert list(scores_of("out.jsonl")) == list(scores_of("longest.jsonl"))
    assert read_scores("out.jsonl").header["engine"] == "bulk 1.0"

    def nothing(self, requests):
        yield from list(requests)[:0]

    monkeypatch.setattr(Bulk, "score", nothing)
    result = score("--engine", "bulk", model="rm/any", out="x.jsonl", code=1)
    assert "the engine gave no rewards for 12 ladders" in result.stderr


# The command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "out.txt"], "--out out.txt: must end in .jsonl or .parquet"),
        (["--out", "nowhere/out.jsonl"], "--out nowhere/out.jsonl: there is no folder nowhere"),
        (["--out", "folder.jsonl"], "--out folder.jsonl: is a folder"),
        (["--dataset", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--split", "test"], "no ladder in split 'test'"),
        (["--model", "builtin/best"], "builtin/best: there is builtin/"),
        (["--model", "rm-python/own_rewards:missing"], "has no 'missing'; callables there: all_raise, by_order"),
        (["--model", "rm-python/nowhere:f"], "no module 'nowhere' in"),
        (["--model", "mockllm/model"], "mockllm/model gives no rewards. Give --model rm/HUB_ID_OR_FOLDER"),
        (["--model", "unknown/model"], "Model API unknown of model 'unknown/model' not recognized."),
        (["--model", "model"], "'model' should be in the format of <api_name>/<model_name>"),
        (["-M", "x=1"], "builtin/longest takes no -M arguments, got x"),
        (["-M", "x"], "-M x: must be NAME=VALUE."),
        (["-M", "memoize=true"], "-M memoize: not an argument of a model"),
        (["--engine", "http"], "builtin/longest runs in this process: use local"),
        (["--max-connections", "3"], "--max-connections is for served models"),
        (["--limit", "0"], "--limit"),
        (["--thinking", "maybe"], "--thinking"),
    ],
)
def test_bad_input_exits_with_2_before_anything_is_computed(here, arguments, said):
    (here / "folder.jsonl").mkdir()
    result = score(*arguments, code=2)
    assert said in result.stderr
    assert result.stdout == ""
    assert not list(here.glob("out*"))


def test_a_model_that_refuses_at_its_first_call_is_bad_input(here):
    from tail_bench.errors import prerequisite_error

    refused = prerequisite_error("the server [sigmoid] bends the reward")
    with pytest.raises(InputError, match=r"^the server \[sigmoid\] bends the reward$"):
        score_with(Scripted(fails_at(1, refused)), in_flight=1)
    assert not list(here.glob("out*"))


def test_some_unscored_is_success_and_all_unscored_is_not(here):
    printed = score(model="rm-python/own_rewards:one_raises").stdout
    assert printed.splitlines()[0] == "Wrote out.jsonl: 48 responses of 12 ladders, 2 unscored."
    text = invoke("report", "--scores", "out.jsonl", "--dataset", "data.jsonl").stdout
    assert "2 x raised RuntimeError: too [bold]long[/bold] ?" in " ".join(text.split())
    for _ in range(2):
        result = score(model="rm-python/own_rewards:all_raise", out="none.parquet", code=1)
        assert "none.parquet: 48 responses of 12 ladders, 48 unscored." in result.stdout
        assert result.stderr == "Error: no response has a score; 48 times: raised RuntimeError: no GPU\n"
    assert (
        "48 x raised RuntimeError: no GPU"
        in invoke("report", "--scores", "none.parquet", "--dataset", "data.jsonl").stdout
    )


def test_paths_with_spaces_are_quoted(here):
    write_jsonl(here / "my data.jsonl", [ladder(n) for n in range(3)])
    last = score(out="my out.jsonl", dataset="my data.jsonl").stdout.splitlines()[-1]
    assert last == "Next: tail-bench report --scores 'my out.jsonl' --dataset 'my data.jsonl'"


def test_a_line_now_and_then_where_nobody_watches(monkeypatch, capsys):
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with progress(1000, 100) as advance:
        for _ in range(9):
            advance(8, 1)
    lines = capsys.readouterr().err.splitlines()
    assert 1 < len(lines) < 9
    assert all(line.startswith("10") and "of 1,000 ladders" in line and "unscored" in line for line in lines)


def test_a_bar_where_somebody_watches(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress(3, 1) as advance:
        advance(4, 0)
        advance(4, 2)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "2 unscored" in shown


def test_records_of_reasons_are_checked():
    sound = {
        "id": "a",
        "scores": {"x": None, "7": 1.0},
        "reasons": {"x": "why", "7": None},
        "truncated": [7],
        "alone": "no",
    }
    judgment = judgment_of(sound)
    assert (judgment.reasons, judgment.truncated, judgment.alone) == ({"x": "why"}, ("7",), "no")
    assert judgment_of(record_of(judgment)) == judgment
    for wrong, said in (
        ({"reasons": []}, "reasons: must be an object"),
        ({"reasons": {"x": 1}}, "reasons: must be an object"),
        ({"reasons": {"y": "why"}}, "'y' is not among the scores"),
        ({"truncated": "x"}, "truncated: must be a list"),
        ({"truncated": ["y"]}, "'y' is not among the scores"),
        ({"alone": 1}, "alone: must be a text"),
    ):
        with pytest.raises(ValueError, match=said):
            judgment_of(sound | wrong)


# docs/scoring.md

DOC = (Path(__file__).parent.parent / "docs" / "scoring.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOC, re.M | re.S)


def test_the_command_shown_prints_what_is_shown(here, monkeypatch):
    monkeypatch.delitem(sys.modules, "my_reward", raising=False)
    Path("my_reward.py").write_text(blocks("python")[0])
    command, report = (b.split()[1:] for b in blocks("sh"))
    assert invoke(*command).stdout == blocks("text")[0]
    shown = json.loads(blocks("jsonl")[0].splitlines()[0])["header"]
    header = read_scores("rewards.jsonl").header
    assert list(header) == list(shown)
    short = {name: value[:8] for name, value in header.items() if name.endswith("fingerprint")}
    assert {**header, **short, "model_fingerprint": shown["model_fingerprint"]} == shown
    invoke(*report)
    assert invoke(*command, "--seed", 2, code=2).stderr == blocks("text")[1]
    sys.modules.pop("my_reward", None)


def test_every_option_is_documented():
    for option in main.commands["score"].params:
        assert f"`{option.opts[0]}" in DOC, option.name
