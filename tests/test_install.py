"""The default install: openai/ models of Inspect and litellm both talk to a server, and no torch comes with it."""

import asyncio
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from inspect_ai.model import get_model
from packaging.requirements import Requirement

ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 0,
    "model": "local",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "[[A]]"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


class Server(BaseHTTPRequestHandler):
    asked: list = []  # noqa: RUF012  (one server a test)

    def do_POST(self):
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def url():
    Server.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def test_an_openai_model_of_inspect(url):
    model = get_model("openai/local", base_url=url, api_key="none", memoize=False, responses_api=False)
    output = asyncio.run(model.generate("Which is better?"))
    assert output.completion == "[[A]]"
    assert Server.asked[0]["messages"][-1]["content"] == "Which is better?"


def test_litellm(url):
    code = """
import sys, litellm
messages = [{"role": "user", "content": "Which is better?"}]
reply = litellm.completion(model="openai/local", api_base=sys.argv[1], api_key="none", messages=messages)
print(reply.choices[0].message.content)
"""
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else it fetches its price map
    done = subprocess.run(
        [sys.executable, "-c", code, url], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.stdout.strip().splitlines()[-1:] == ["[[A]]"], done.stderr
    assert Server.asked[0]["messages"][-1]["content"] == "Which is better?"


def test_no_torch_in_the_default_install():
    """Followed through the requirements of everything that the default install brings."""
    seen, todo = set(), ["tail-bench"]
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for line in requires:
            requirement = Requirement(line)
            extras = [""] if requirement.marker else []
            if not requirement.marker or any(requirement.marker.evaluate({"extra": e}) for e in extras):
                todo.append(requirement.name)
    assert {"inspect-ai", "datasets", "scipy", "pandas", "seaborn", "litellm"} <= seen
    assert not {"torch", "tensorflow", "jax", "transformers"} & seen
