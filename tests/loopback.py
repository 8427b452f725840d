"""An OpenAI-compatible server on the loopback, whose answers a test scripts."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from inspect_ai.model import get_model

from tests.helpers import run

Request = dict[str, Any]
Body = dict[str, Any]
Answer = Callable[[Request], "Body | tuple[int, Body]"]

HANG = (0, {})
"""An answer that never comes."""


def completion(
    *texts: str, logprobs: list[list[tuple[str, Mapping[str, float]]]] | None = None, finish: str = "stop"
) -> Body:
    """A chat completion with a choice for each text.

    logprobs: for each choice its tokens, each with the probabilities of all its rivals (itself included).
    """
    choices = []
    for index, text in enumerate(texts):
        tokens = None if logprobs is None else {"content": [_token(*token) for token in logprobs[index]]}
        message = {"role": "assistant", "content": text}
        choices.append({"index": index, "message": message, "finish_reason": finish, "logprobs": tokens})
    usage = {"prompt_tokens": 100, "completion_tokens": len(texts), "total_tokens": 100 + len(texts)}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "scripted"}
    return {**head, "choices": choices, "usage": usage}


def _token(token: str, rivals: Mapping[str, float]) -> Body:
    top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in rivals.items()]
    own = next((t["logprob"] for t in top if t["token"] == token), -9.0)
    return {"token": token, "logprob": own, "bytes": None, "top_logprobs": top}


def error(status: int, message: str, **fields: Any) -> tuple[int, Body]:
    return status, {"error": {"message": message, "type": "invalid_request_error", **fields}}


def question(request: Request) -> str:
    return request["messages"][-1]["content"]


def quoted(request: Request) -> dict[str, str]:
    """The quoted texts of a question by the name of their tag: what a judge that reads by structure sees."""
    found = re.findall(r"<(\w+) (\w+)>\n(.*?)\n</\1 \2>", question(request), re.DOTALL)
    return {name: text for name, _, text in found}


class Loopback:
    """The server; `requests` are those it got."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self.closed = threading.Event()
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with loopback._lock:
                    loopback.requests.append(request)
                found = answer(request)
                if found is HANG:
                    loopback.closed.wait(30)
                    return
                status, body = found if isinstance(found, tuple) else (200, found)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(answer: Answer) -> Iterator[Loopback]:
    server = Loopback(answer)
    try:
        yield server
    finally:
        server.close()


def slowly(seconds: float, answer: Answer) -> Answer:
    def slow(request: Request) -> Any:
        time.sleep(seconds)
        return answer(request)

    return slow


def judged_by(answer, task, tmp_path, provider="openai-api/scripted/judge", **arguments):
    """A task's log with the model that the answer scripts, and the requests that it got."""
    with serving(answer) as server:
        model = get_model(provider, base_url=server.url, api_key="none", memoize=False)
        log = run(task, model, tmp_path, **arguments)
    return log, server.requests
