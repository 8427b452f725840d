"""The litellm provider against a scripted server: what a reply becomes, what is asked again, and what never starts."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
from inspect_ai import Task, eval
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import Sample
from inspect_ai.event import ModelEvent
from inspect_ai.model import ChatMessageUser, ContentReasoning, GenerateConfig, get_model
from inspect_ai.model._model import ModelGenerateError
from inspect_ai.solver import generate
from tenacity import RetryError, wait_none

from tail_bench.providers.litellm import LiteLLM, ServerError

# LiteLLM logs each success from a queue that it drops when an event loop ends; every call here has a loop of its own.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .*async_success_handler:RuntimeWarning")

TOKEN = {
    "token": "7",
    "logprob": -0.25,
    "bytes": [55],
    "top_logprobs": [
        {"token": "7", "logprob": -0.25, "bytes": [55]},
        {"token": "8", "logprob": -2.5, "bytes": None},
    ],
}
REPLY = {
    "id": "reply-1",
    "object": "chat.completion",
    "created": 1,
    "model": "served-model",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "7"}}],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 12},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}


class Server:
    """Answers each POST with the next of its replies (status, body, headers), the last one for ever; keeps requests."""

    def __init__(self):
        self.replies = []
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
                status, reply, headers = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def answers(self, *replies):
        self.replies = [(*r, {}) if len(r) == 2 else r for r in replies]
        self.requests = []

    def fails(self, status, message, **headers):
        self.answers((status, {"error": {"message": message}}, headers))


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def no_keys_and_no_waits(monkeypatch):
    for name in [n for n in os.environ if n.endswith(("_API_KEY", "_API_BASE", "_BASE_URL", "_TOKEN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(LiteLLM, "retry_wait", lambda self: wait_none())


def reply(**choice):
    made = deepcopy(REPLY)
    made["choices"][0] |= choice
    return made


def said(**message):
    return reply(message={"role": "assistant", "content": "7", **message})


def ask(server, model="openai/local", config=None, **arguments):
    judge = get_model(f"litellm/{model}", base_url=server.url, memoize=False, **arguments)
    return anyio.run(judge.generate, "How good is it?", [], None, GenerateConfig(**(config or {})))


def refused(server, model="openai/local"):
    with pytest.raises(ModelGenerateError) as caught:
        ask(server, model, config={"max_retries": 2})
    assert len(server.requests) == 1
    return caught.value


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local"])
def test_logprobs_and_their_rivals_survive(server, model):
    server.answers((200, reply(logprobs={"content": [TOKEN]})))
    output = ask(server, model, {"logprobs": True, "top_logprobs": 2})
    assert output.completion == "7"
    (token,) = output.choices[0].logprobs.content
    assert (token.token, token.logprob) == ("7", -0.25)
    assert [(t.token, t.logprob) for t in token.top_logprobs] == [("7", -0.25), ("8", -2.5)]
    (request,) = server.requests
    assert (request["path"], request["model"]) == ("/v1/chat/completions", "local")
    assert (request["logprobs"], request["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(
    "given", [{}, {"logprobs": None}, {"logprobs": {"content": None}}, {"logprobs": {"tokens": ["7"]}}]
)
def test_a_reply_without_the_logprobs_asked_for_has_none(server, given):
    server.answers((200, reply(**given)))
    output = ask(server, config={"logprobs": True, "top_logprobs": 2})
    assert output.completion == "7"
    assert output.choices[0].logprobs is None


def test_what_is_sent(server):
    server.answers((200, REPLY))
    config = {"temperature": 0.0, "top_p": 0.9, "max_tokens": 9, "stop_seqs": ["x"], "num_choices": 2}
    config |= {"reasoning_effort": "low", "extra_body": {"min_p": 0.1}, "logit_bias": {42: 1.0}}
    ask(server, "hosted_vllm/local", config, seed=3)
    (request,) = server.requests
    wanted = {"temperature": 0.0, "top_p": 0.9, "max_tokens": 9, "stop": ["x"], "seed": 3, "n": 2}
    wanted |= {"reasoning_effort": "low", "min_p": 0.1, "logit_bias": {"42": 1.0}}
    assert {name: request[name] for name in wanted} == wanted
    assert request["messages"] == [{"role": "user", "content": "How good is it?"}]


def test_a_parameter_that_is_not_taken_is_dropped_with_one_warning_or_refused(server, caplog):
    server.answers((200, REPLY))
    with caplog.at_level(logging.WARNING, "tail_bench"):
        judge = get_model("litellm/mistral/x", base_url=server.url, memoize=False)

        async def twice():
            for _ in range(2):
                await judge.generate("?", config=GenerateConfig(logprobs=True, top_logprobs=5, temperature=0.0))

        anyio.run(twice)
    assert [set(r) & {"logprobs", "top_logprobs", "temperature"} for r in server.requests] == [{"temperature"}] * 2
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "tail_bench.providers.litellm"]
    assert warning == "litellm/mistral/x takes no logprobs, top_logprobs: not sent"
    server.answers((200, REPLY))
    with pytest.raises(ModelGenerateError, match="logprobs"):
        ask(server, "mistral/x", {"logprobs": True}, drop_params=False)
    assert server.requests == []


def test_several_choices(server):
    made = reply()
    made["choices"] = [
        {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": str(i)}} for i in range(3)
    ]
    server.answers((200, made))
    output = ask(server, config={"num_choices": 3})
    assert [c.message.text for c in output.choices] == ["0", "1", "2"]
    assert server.requests[0]["n"] == 3


@pytest.mark.parametrize(
    "message", [{"reasoning_content": "hm"}, {"reasoning": "hm"}, {"content": "<think>hm</think>7"}]
)
def test_reasoning_is_kept_apart_from_the_answer(server, message):
    server.answers((200, said(**message)))
    answer = ask(server).choices[0].message
    assert answer.text == "7"
    assert [c.reasoning for c in answer.content if isinstance(c, ContentReasoning)] == ["hm"]


def test_a_refusal_and_an_unknown_reason_to_stop(server):
    server.answers((200, reply(message={"role": "assistant", "content": None, "refusal": "No."}, finish_reason="eos")))
    assert ask(server).completion == "No."


def test_usage(server):
    server.answers((200, REPLY))
    output = ask(server)
    usage = output.usage
    assert (usage.input_tokens, usage.input_tokens_cache_read, usage.output_tokens) == (8, 12, 5)
    assert (usage.reasoning_tokens, usage.total_tokens, usage.total_cost) == (3, 25, None)
    assert output.model == "served-model"
    uncounted = {name: value for name, value in REPLY.items() if name != "usage"}
    server.answers((200, uncounted))
    assert ask(server).usage is None


def test_anthropic(server):
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 50, "output_tokens": 5}
    thoughts = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "7"}]
    made = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn"}
    server.answers((200, {**made, "content": thoughts, "usage": usage}))
    output = ask(server, "anthropic/claude-haiku-4-5", {"max_tokens": 100, "logprobs": True})
    assert output.completion == "7"
    assert output.choices[0].logprobs is None
    said = output.usage
    assert (said.input_tokens, said.input_tokens_cache_write, said.input_tokens_cache_read) == (10, 100, 50)


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local", "anthropic/claude-haiku-4-5"])
@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_inspect_asks_again_with_one_request_an_attempt(server, model, status):
    server.fails(status, "later", **{"Retry-After": "7"})
    with pytest.raises(RetryError) as caught:
        ask(server, model, {"max_retries": 2}, num_retries=4, max_retries=4)
    assert len(server.requests) == 3
    assert caught.value.last_attempt.exception().status_code == status


def test_a_rate_limit_that_ends(server):
    later = (429, {"error": {"message": "later"}}, {"Retry-After": "7"})
    server.answers(later, later, (200, REPLY))
    assert ask(server).completion == "7"
    assert len(server.requests) == 3


def decision(url, model="hosted_vllm/local", **arguments):
    """Whether the provider would have it asked again after the error that it raises."""
    api = get_model(f"litellm/{model}", base_url=url, memoize=False, **arguments).api
    with pytest.raises(ServerError) as caught:
        anyio.run(api.generate, [ChatMessageUser(content="?")], [], "none", GenerateConfig())
    return api.should_retry(caught.value)


def test_how_it_is_asked_again(server):
    server.fails(429, "slow down", **{"Retry-After": "7"})
    limit = decision(server.url)
    assert (limit.kind, limit.retry_after) == ("rate_limit", 7)
    server.fails(500, "rate limit exceeded")  # LiteLLM calls it a rate limit
    assert (decision(server.url).retry, decision(server.url).kind) == (True, "transient")


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local", "anthropic/claude-haiku-4-5"])
def test_no_server_and_a_slow_one_are_asked_again(model):
    assert decision("http://127.0.0.1:9/v1", model).retry
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        assert decision(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", model, timeout=0.2).retry


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local", "anthropic/claude-haiku-4-5"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_the_server_refuses_is_its_own_message_and_status(server, model, status):
    server.fails(status, "temperature must be at most 2")
    error = refused(server, model)
    assert (error.provider_message, error.status_code) == ("temperature must be at most 2", status)
    api = get_model(f"litellm/{model}", base_url=server.url, memoize=False).api
    assert api.is_auth_failure(error) is (status == 401)


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local"])
def test_words_do_not_make_a_rate_limit(server, model):
    server.fails(400, "max_tokens must be below 429; see the rate limit page")
    assert refused(server, model).status_code == 400


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local", "anthropic/claude-haiku-4-5"])
def test_a_reply_that_cannot_be_read_is_not_paid_for_again(server, model):
    server.answers((200, {"object": "odd"}))
    assert refused(server, model).status_code is None
    server.answers((200, b"odd"))
    refused(server, model)


def test_an_error_inside_a_reply(server):
    server.answers((200, {"error": {"message": "upstream is busy", "code": 502}}), (200, REPLY))
    assert ask(server).completion == "7"
    server.answers((200, {"error": {"message": "no such voice", "code": 400}}))
    assert refused(server).status_code == 400


def test_what_the_caller_was_handling_is_not_the_reason(server):
    api = get_model("litellm/openai/local", base_url=server.url, memoize=False).api

    async def again_in_the_handler():
        try:
            await api.generate([ChatMessageUser(content="?")], [], "none", GenerateConfig())
        except ServerError:
            return await api.generate([ChatMessageUser(content="?")], [], "none", GenerateConfig())

    server.answers((500, {"error": {"message": "boom"}}), (200, {"object": "odd"}))
    unreadable, _ = anyio.run(again_in_the_handler)
    assert (unreadable.status_code, unreadable.decision.retry) == (None, False)


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local"])
@pytest.mark.parametrize(
    "message",
    [
        "the request exceeds the available context size, try increasing it",
        "This model's maximum context length is 4096 tokens. However, you requested 429 tokens more.",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_too_long_a_prompt(server, model, message):
    server.fails(400, message)
    output = ask(server, model)
    assert (output.stop_reason, output.completion, output.error) == ("model_length", message, message)
    assert len(server.requests) == 1


@pytest.mark.parametrize("model", ["openai/local", "hosted_vllm/local"])
def test_the_codes_of_openai(server, model):
    error = {"message": "Not this.", "type": "invalid_request_error"}
    server.answers((400, {"error": {**error, "code": "content_policy_violation"}}))
    output = ask(server, model)
    assert (output.stop_reason, output.completion, output.error) == ("content_filter", "Not this.", None)
    server.answers((400, {"error": {**error, "code": "context_length_exceeded"}}))
    output = ask(server, model)
    assert (output.stop_reason, output.completion, output.error) == ("model_length", "Not this.", "Not this.")


def test_the_log_shows_calls_and_no_key(server, tmp_path):
    made = (200, reply(logprobs={"content": [TOKEN]}))
    server.answers((500, {"error": {"message": "boom"}}), made)
    judge = get_model(
        "litellm/openai/local",
        base_url=server.url,
        api_key="KEYMARK",
        memoize=False,
        extra_headers={"X-Mark": "HEADMARK"},
    )
    task = Task(dataset=[Sample(input="?")], solver=generate(), config=GenerateConfig(logprobs=True, seed=5))
    (log,) = eval(task, model=judge, log_dir=str(tmp_path), display="none")
    assert log.status == "success"
    assert [r["key"] for r in server.requests] == ["Bearer KEYMARK"] * 2
    failed, event = [e for e in log.samples[0].events if isinstance(e, ModelEvent)]
    assert "boom" in failed.error
    assert (failed.call.error, failed.call.response["status_code"]) == (True, 500)
    assert (event.call.request["seed"], event.call.response["id"]) == (5, "reply-1")
    assert event.call.time > 0
    calls = json.dumps([failed.call.model_dump(), event.call.model_dump()])
    assert "KEYMARK" not in calls
    assert "HEADMARK" not in calls
    assert log.samples[0].output.choices[0].logprobs.content[0].top_logprobs[1].token == "8"


@pytest.mark.parametrize("name", ["foo", "foo/bar"])
def test_an_unknown_name_never_starts(name):
    with pytest.raises(PrerequisiteError, match=f"litellm/{name}.*write litellm/PROVIDER/MODEL"):
        get_model(f"litellm/{name}", memoize=False)


def test_a_missing_key_is_named(monkeypatch):
    for model, named in {
        "openai/gpt-4o-mini": "OPENAI_API_KEY",
        "gpt-4o-mini": "OPENAI_API_KEY",
        "anthropic/claude-haiku-4-5": "ANTHROPIC_API_KEY",
        "gemini/gemini-2.5-pro": "GOOGLE_API_KEY or GEMINI_API_KEY",
    }.items():
        with pytest.raises(PrerequisiteError, match=f"litellm/{model}.*set {named}"):
            get_model(f"litellm/{model}", memoize=False)
        get_model(f"litellm/{model}", api_key="k", memoize=False)
        get_model(f"litellm/{model}", base_url="http://127.0.0.1:9", memoize=False)
        monkeypatch.setenv(named.split()[0], "k")
        get_model(f"litellm/{model}", memoize=False)
        monkeypatch.delenv(named.split()[0])


def test_what_needs_no_key_or_has_another_starts(monkeypatch):
    for model in ("hosted_vllm/x", "ollama/x", "bedrock/anthropic.claude-x", "azure/x", "vertex_ai/gemini-2.5-pro"):
        get_model(f"litellm/{model}", memoize=False)
    monkeypatch.setenv("OR_API_KEY", "k")
    get_model("litellm/openrouter/a/b", memoize=False)
    monkeypatch.setenv("TOGETHER_API_KEY", "k")
    get_model("litellm/together_ai/a/b", memoize=False)


def test_names_and_arguments():
    def api(name, **arguments):
        return get_model(f"litellm/{name}", memoize=False, **arguments).api

    assert api("gpt-4o-mini", api_key="k").canonical_name() == "openai/gpt-4o-mini"
    assert api("gemini/gemini-2.5-pro", api_key="k").canonical_name() == "google/gemini-2.5-pro"
    assert api("openrouter/anthropic/claude-x", api_key="k").canonical_name() == "anthropic/claude-x"
    assert api("hosted_vllm/x", timeout=5).model_args == {"timeout": 5}
    keys = {
        api("hosted_vllm/x", api_key=k, base_url=u).connection_key() for k in "ab" for u in ("http://1", "http://2")
    }
    assert len(keys) == 4


def test_nothing_is_fetched_and_no_dotenv_is_read():
    """Loading, pricing and counting with every connection refused."""
    script = """
import os, socket
def refuse(*arguments, **more):
    print("ASKED", *arguments)
    raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = refuse
import dotenv
dotenv.load_dotenv = lambda *arguments, **more: print("DOTENV")
import anyio
from inspect_ai.model import get_model
judge = get_model("litellm/hosted_vllm/meta-llama/Llama-3.1-8B-Instruct").api
print(anyio.run(judge.count_text_tokens, "How many tokens are there in this sentence?"))
import litellm
print(litellm.model_cost["gpt-4o-mini"]["input_cost_per_token"])
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert shown.stderr == ""
    assert shown.stdout.split() == ["9", "1.5e-07"]
