"""The provider: which server it is, several that share the load, what is retried, and what ends a run."""

import re
from pathlib import Path

import anyio
import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import get_model
from tenacity import wait_none

from tail_bench.logs import report_log
from tail_bench.providers.served import rm_server
from tail_bench.providers.served.asking import Address, ServerError
from tail_bench.providers.served.options import ServedOptions
from tail_bench.providers.served.rm_server import ServedRewardModel
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl
from tests.providers.served.conftest import TEXTS, request
from tests.providers.served.fakes import BROKEN, MODEL, NIM, TEI, VLLM, Chat, OpenRLHF, SGLang, Site, make_tokenizer


@pytest.mark.parametrize(
    ("make", "engine"),
    [
        (lambda start, t: start(VLLM, t, "0.33.0"), "vllm"),
        (lambda start, t: start(SGLang, t), "sglang"),
        (lambda start, t: start(TEI, t), "tei"),
        (lambda start, t: start(OpenRLHF, t), "openrlhf"),
        (lambda start, t: start(NIM, t), "nim"),
    ],
)
def test_the_server_is_found_out_or_told(start, asking, tokenizer, make, engine):
    server = make(start, tokenizer)
    for rm in (asking(server), asking(server.url + "/v1/", api=engine)):
        assert rm.values() == rm.true()
        assert rm.facts["engine"] == engine


def test_a_tokenizer_without_a_bos(start, asking, tmp_path):
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>\n{% endfor %}"
    own = make_tokenizer(tmp_path, template, bos=False)
    for server in (
        *(start(VLLM, own, version) for version in ("0.10.2", "0.13.0", "0.33.0")),
        start(SGLang, own),
        start(TEI, own),
        start(OpenRLHF, own),
    ):
        rm = asking(server, tokenizer=str(tmp_path))
        assert rm.values() == rm.true()


def test_other_servers(start, asking):
    chat = start(Chat)
    said = asking(chat).refused("an OpenAI-compatible server of language models (gpt-oss)")
    assert "tail_judge" in said
    asking(chat, api="nim", model="gpt-oss").refused("no reward but text, as of a language model: Paris, of course.")
    said = asking(start(Site)).refused("no reward model server that is known")
    assert "GET /info: no JSON but an HTML page" in said
    assert "-M api=vllm|sglang|tei|openrlhf|nim" in said


def test_another_form_of_reply_later(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0")
    rm = asking(server)
    rm.score()
    answers = [
        ((200, b"<html>down for maintenance", {}), "no JSON but an HTML page"),
        ((200, {"data": []}, {}), "0 scores for 3 inputs"),
        ((200, {"data": [{"index": 0, "probs": ["a"]}] * 3}, {}), "whose indices are not 0 to 2"),
        ((200, {"data": [{"index": i, "probs": {}} for i in range(3)]}, {}), "no list of scores"),
        ((200, b"[" * 100_000, {}), "no JSON"),
        ((200, b"", {}), "nothing"),
        ((302, b"", {"Location": "http://elsewhere/"}), "redirects to http://elsewhere/"),
        ((404, {"error": {"message": "no such model"}}, {}), "404: no such model"),
    ]
    for answer, said in answers:
        server.fault = lambda path, body, answer=answer: answer if body else None
        with pytest.raises(PrerequisiteError) as caught:
            anyio.run(_twice, rm.api, server)
        assert said in str(caught.value.message)


async def _twice(api, *servers):
    """The handshake of this loop without the faults, then a request with them."""
    faults = [server.fault for server in servers]
    for server in servers:
        server.fault = lambda path, body: None
    await api._ready()
    for server, fault in zip(servers, faults, strict=True):
        server.fault = fault
    await api.score(request())


def test_unreachable(asking):
    said = asking("http://127.0.0.1:9").refused("no connection")
    assert "GET http://127.0.0.1:9/info" in said
    assert "Is the server running, and is its address http://127.0.0.1:9 (--model-base-url)?" in said


def test_what_is_not_given_or_wrong_never_starts(monkeypatch):
    def refused(match, **arguments):
        with pytest.raises(PrerequisiteError) as caught:
            get_model(f"rm-server/{MODEL}", memoize=False, **arguments)
        assert match in str(caught.value.message)

    refused(f"--model rm-server/{MODEL} --model-base-url http://127.0.0.1:8000 (or RM_SERVER_BASE_URL")
    refused("no address such as http://127.0.0.1:8000", base_url="ftp://x")
    refused("no address such as", base_url="http://h:port")
    url = "http://127.0.0.1:9"
    refused("-M tokeniser: no such option; there is api, head, tokenizer, revision", base_url=url, tokeniser="x")
    refused("-M api: Input should be 'vllm', 'sglang', 'tei', 'openrlhf' or 'nim'", base_url=url, api="vlm")
    refused("-M max_length: ", base_url=url, max_length=0)
    monkeypatch.setenv("RM_SERVER_BASE_URL", url)
    api = get_model(f"rm-server/{MODEL}", memoize=False).api
    assert (api.base_url, api.repeats) == (url, True)


def test_addresses_are_shown_without_secrets():
    address = Address("https://user:secret@host:8000/rm/v1/?token=secret")
    assert address.name == "https://host:8000/rm"
    assert address.at("/classify") == "https://user:secret@host:8000/rm/classify?token=secret"
    assert Address("host:8000").name == "http://host:8000"


def test_the_fingerprint():
    def fingerprint(url="http://a,http://b", **arguments):
        return get_model(f"rm-server/{MODEL}", base_url=url, memoize=False, **arguments).api.fingerprint()

    assert fingerprint() == fingerprint("http://b,http://a")
    others = [fingerprint("http://a"), fingerprint(head=1), fingerprint(api="vllm"), fingerprint(tokenizer="x/y")]
    assert len({fingerprint(), *others}) == 5


def test_several_servers_share_the_load(start, asking, tokenizer):
    servers = [start(VLLM, tokenizer, v) for v in ("0.33.0", "0.13.0")]  # each is asked in its own way
    rm = asking(*servers)

    async def many():
        async with anyio.create_task_group() as tasks:
            for n in range(12):
                tasks.start_soon(one, n)

    found = {}

    async def one(n):
        found[n] = [r.value for r in await rm.api.score(request(*(f"{t} {n}" for t in TEXTS)))]

    before = [len(s.posts) for s in servers]
    anyio.run(many)
    assert found == {n: rm.true(*(f"{t} {n}" for t in TEXTS)) for n in range(12)}
    assert all(len(s.posts) - n > 4 for s, n in zip(servers, before, strict=True))
    assert rm.facts["parity"] == "token counts equal, raw confirmed, one score (2 servers agree)"
    assert [s["version"] for s in rm.facts["certificate"]["servers"]] == ["0.33.0", "0.13.0"]
    assert rm.api.max_connections() == 32


def test_servers_that_differ_are_refused(start, asking, tokenizer):
    one, other = (start(VLLM, tokenizer, "0.33.0") for _ in range(2))
    other.reward = lambda ids: 1.05 * one.reward(ids)
    asking(one, other).refused("they serve different models, or with different settings")
    other.reward = lambda ids: 1.001 * one.reward(ids)
    assert asking(one, other).values()


@pytest.mark.parametrize("how", ["gone", "broken", "500", "429"])
def test_a_server_that_fails_half_way_loses_no_ladder(start, asking, tokenizer, how):
    servers = [start(VLLM, tokenizer, "0.33.0") for _ in range(2)]
    rm = asking(*servers)

    async def all_of_them():
        found = []
        for n in range(8):
            if n == 3 and how == "gone":
                servers[0].close()
            elif n == 3:
                answer = {"broken": BROKEN, "500": (500, {}, {}), "429": (429, {}, {"Retry-After": "60"})}[how]
                servers[0].fault = lambda path, body, answer=answer: answer
            found.append([r.value for r in await rm.api.score(request(*(f"{t} {n}" for t in TEXTS)))])
        return found

    assert anyio.run(all_of_them) == [rm.true(*(f"{t} {n}" for t in TEXTS)) for n in range(8)]
    if how != "gone":
        assert len(servers[0].posts) <= len(servers[1].posts)
        assert sum("answer" in str(body) for body in servers[0].bodies) == 0


def test_a_server_that_comes_back_as_another_ends_the_run(start, asking, tokenizer, monkeypatch):
    one, other = (start(VLLM, tokenizer, "0.33.0") for _ in range(2))
    rm = asking(one, other)

    async def score():
        return [r.value for r in await rm.api.score(request())]

    async def through_a_restart():
        assert await score() == rm.true()
        one.fault = lambda path, body: BROKEN
        assert await score() == rm.true()
        assert rm.api._run.endpoints[0].certificate is None
        one.fault = lambda path, body: None
        rm.api._run.endpoints[0].out_until = 0
        assert await score() == rm.true()  # certified anew
        assert rm.api._run.endpoints[0].certificate is not None
        one.fault = lambda path, body: BROKEN
        await score()
        one.fault = lambda path, body: None
        one.reward = lambda ids: 3.0 + len(ids)
        rm.api._run.endpoints[0].out_until = 0
        for _ in range(2):
            with pytest.raises(PrerequisiteError, match="different models"):
                await score()

    anyio.run(through_a_restart)


def test_if_all_fail_inspect_retries(start, asking, tokenizer):
    servers = [start(VLLM, tokenizer, "0.33.0") for _ in range(2)]
    rm = asking(*servers)
    for server, seconds in zip(servers, (30, 5), strict=True):
        server.fault = lambda path, body, seconds=seconds: (
            (503, {"detail": "loading"}, {"Retry-After": str(seconds)}) if body else None
        )
    with pytest.raises(ServerError, match="503 loading; 1 more servers failed too") as caught:
        anyio.run(_twice, rm.api, *servers)
    decision = rm.api.should_retry(caught.value)
    assert (decision.retry, decision.kind, decision.retry_after) == (True, "transient", 5)
    for server in servers:
        server.fault = lambda path, body: None
    assert rm.values() == rm.true()
    assert not rm.api.should_retry(ValueError()).retry


def test_the_second_scoring_is_one_by_one(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0")
    rm = asking(server)

    async def both():
        await rm.api.score(request())
        n = len(server.posts)
        return await rm.api.score(request(again=True)), server.bodies[n:]

    again, bodies = anyio.run(both)
    assert [r.value for r in again] == rm.true()
    assert [len(body["input"]) for body in bodies] == [1, 1, 1]


def test_half_a_character_costs_no_other(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0", name="rm", root="/gone/rm")
    rm = asking(server, tokenizer=None, model="rm")
    good, bad = rm.score("Paris.", "half \ud800 of it")
    assert good.value == rm.true("Paris.")[0]
    assert "half a character" in bad.reason


def test_a_run_and_its_report(start, folder, tokenizer, tmp_path):
    server = start(VLLM, tokenizer, "0.33.0")
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(3)])
    model = get_model(f"rm-server/{MODEL}", base_url=server.url, tokenizer=folder, memoize=False)
    log = run(tail_reward(dataset=str(data)), model, tmp_path)
    assert log.status == "success", log.error
    report = report_log(log.location)
    about = report.grader.model_extra
    assert (about["engine"], about["activation"], about["max_length"]) == ("vllm", "off", 400)
    assert about["certificate"]["servers"] == [{"url": server.url, "version": "0.33.0", "model": MODEL}]
    assert about["parity"] == "token counts equal, raw confirmed, one score"
    assert report.unscored.count == 0


def test_warnings_reach_the_report(start, folder, tokenizer, tmp_path):
    server = start(OpenRLHF, tokenizer)
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(3)])
    model = get_model(f"rm-server/{MODEL}", base_url=server.url, tokenizer=folder, memoize=False)
    report = report_log(run(tail_reward(dataset=str(data)), model, tmp_path).location)
    assert any("taken on trust" in w for w in report.warnings)


def test_a_refusal_ends_the_run_at_once(start, folder, tokenizer, tmp_path):
    server = start(VLLM, tokenizer, "0.9.2")
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(40)])
    model = get_model(f"rm-server/{MODEL}", base_url=server.url, tokenizer=folder, memoize=False)
    log = run(tail_reward(dataset=str(data)), model, tmp_path)
    assert log.status == "error"
    assert "answers 1.0 to everything" in log.error.message
    assert len(server.posts) < 10


def test_a_rate_limit_that_ends(start, folder, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(ServedRewardModel, "retry_wait", lambda self: wait_none())
    server = start(VLLM, tokenizer, "0.33.0")
    left = [3]

    def busy(path, body):
        if body and len(body["input"]) == 4 and "activation" in str(body) and left[0]:
            left[0] -= 1
            return 429, {"error": "slow down"}, {}
        return None

    server.fault = busy
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(3)])
    model = get_model(f"rm-server/{MODEL}", base_url=server.url, tokenizer=folder, memoize=False)
    log = run(tail_reward(dataset=str(data)), model, tmp_path)
    assert log.status == "success"
    assert left == [0]
    assert report_log(log.location).unscored.count == 0


def test_the_check_before_a_run(start, asking, tokenizer):
    old, new = start(VLLM, tokenizer, "0.9.2"), start(VLLM, tokenizer, "0.33.0")
    with pytest.raises(PrerequisiteError, match="answers 1.0 to everything"):
        asking(old).api.check()
    with pytest.raises(PrerequisiteError, match="no connection"):
        asking("http://127.0.0.1:9").api.check()
    rm = asking(new)
    new.fault = lambda path, body: (503, {"detail": "loading"}, {})
    rm.api.check()  # the run waits for it
    new.fault = lambda path, body: None

    async def in_a_loop():
        rm.api.check()
        return await rm.api.score(request())

    assert [r.value for r in anyio.run(in_a_loop)] == rm.true()


def test_every_option_and_refusal_is_documented():
    doc = (Path(__file__).parents[3] / "docs" / "served-reward-models.md").read_text(encoding="utf-8")
    for name in ServedOptions.model_fields:
        assert f"| `{name}` |" in doc
    said = "".join(path.read_text(encoding="utf-8") for path in Path(rm_server.__file__).parent.glob("*.py"))
    said = " ".join(re.sub(r'"\s+f?"', "", said).split())
    table = doc.partition("| it says | it means |")[2].partition("## ")[0]
    for shown in re.findall(r"^\| (.*?) \|", table, re.M)[1:]:
        for quote in re.findall(r"`(.*?)`", shown):
            for words in re.split(r"\d+|use_activation| [AB]\b", quote):
                assert words.strip(", ") in said, words
