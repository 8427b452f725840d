"""Servers on the loopback that speak, and misbehave, as those that serve reward models do.

The wire formats are those that were read in the servers' own code. A reward is a hash of the token ids that a server
reads, so that a BOS too many, a lost EOS or another template is another reward.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.helpers import unit

MODEL = "org/rm"

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

BROKEN = object()
"""An answer that breaks off: the connection ends without a word."""


def truth(ids):
    """The raw reward of token ids."""
    return round(28 * unit(*ids) - 3, 4)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softmax(xs):
    powers = [math.exp(x - max(xs)) for x in xs]
    return [p / sum(powers) for p in powers]


def make_tokenizer(folder, template=TEMPLATE, bos=True):
    """A byte-level tokenizer. bos: it puts one in front when it adds special tokens, as Llama's, and not as Qwen's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(["the capital of France is Paris", "answer more question"] * 5, trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A </s> $B", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<s>" if bos else None,
        eos_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )
    if template:
        fast.chat_template = template
    fast.model_max_length = 400
    fast.save_pretrained(folder)
    return fast


class Fake:
    """A server. `requests` are those it got, as (method, path, body); `fault` answers before it does, if it answers."""

    def __init__(self, tokenizer=None):
        self.tokenizer = tokenizer
        self.requests = []
        self.keys = []
        self.fault = lambda path, body: None
        fake = self
        self.connections = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits for 40 ms

            def setup(self):
                super().setup()
                fake.connections.add(self.connection)

            def do_GET(self):
                self.answer("GET", None)

            def do_POST(self):
                self.answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, method, body):
                fake.requests.append((method, self.path, body))
                fake.keys.append(self.headers.get("Authorization"))
                found = fake.fault(self.path, body) or fake.answer(method, self.path, body)
                if found is BROKEN:
                    self.close_connection = True
                    return
                status, reply, headers = found if isinstance(found, tuple) else (200, found, {})
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, client_address):  # a connection that the test broke off
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        """Gone at once: also its open connections."""
        self.http.shutdown()
        self.http.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def posts(self):
        return [(path, body) for method, path, body in self.requests if method == "POST"]

    @property
    def bodies(self):
        return [body for _, body in self.posts]

    def ids(self, text, add_special_tokens=True):
        texts = text if isinstance(text, (list, tuple)) else (text,)
        return self.tokenizer(*texts, add_special_tokens=add_special_tokens)["input_ids"]

    def rendered(self, messages):
        return self.ids(self.tokenizer.apply_chat_template(messages, tokenize=False), False)

    def answer(self, method, path, body):
        return 404, {"detail": "Not Found"}, {}


def refuse(status, message):
    return status, {"error": {"message": message, "type": "BadRequestError"}}, {}


class VLLM(Fake):
    """vLLM of a version.

    task: classify, or token (scores of every token, at /pooling), step (of every third), embed, generate. raw: an
    activation was turned off for the whole server. labels: of the classifier.
    """

    def __init__(self, tokenizer, version, task="classify", raw=False, labels=1, name=MODEL, root=None, limit=400):
        super().__init__(tokenizer)
        self.version, self.task, self.raw, self.labels, self.limit = version, task, raw, labels, limit
        self.v = tuple(int(n) for n in version.split(".")[:3])
        self.name, self.root = name, root or name
        self.reward = truth
        self.says_version = True

    def answer(self, method, path, body):
        if (method, path) == ("GET", "/version") and self.says_version:
            return {"version": self.version}
        if (method, path) == ("GET", "/v1/models"):
            card = {"id": self.name, "root": self.root, "owned_by": "vllm", "max_model_len": self.limit}
            return {"object": "list", "data": [card]}
        paths = {"classify": ("/classify", "/pooling"), "generate": ()}.get(self.task, ("/pooling",))
        if method != "POST" or path not in paths:
            return super().answer(method, path, body)
        if body.get("model") != self.name:
            return refuse(404, f"The model `{body.get('model')}` does not exist.")
        return self.pooled(path, body)

    def pooled(self, path, body):
        read = self.read(path, body)
        if isinstance(read, tuple):
            return read
        if any(len(ids) > self.limit for ids in read):
            return refuse(400, f"This model's maximum context length is {self.limit} tokens.")
        on = self.activated(path, body)
        data = []
        for index, ids in enumerate(read):
            if self.task in ("token", "step"):
                every = 1 if self.task == "token" else 3
                scores = [[self.score([*ids[: i + 1]], on)[0]] for i in range(0, len(ids), every)]
            else:
                scores = self.score(ids, on)
            if path == "/classify":
                data.append({"index": index, "label": "LABEL_0", "probs": scores, "num_classes": len(scores)})
            else:
                data.append({"index": index, "object": "pooling", "data": scores})
        n = sum(map(len, read))
        usage = {"prompt_tokens": n, "total_tokens": n, "completion_tokens": 0}
        return {"id": "x", "object": "list", "created": 1, "model": self.name, "data": data, "usage": usage}

    def score(self, ids, on):
        if self.task == "embed":
            return [unit(*ids, i) for i in range(768)]
        raws = [self.reward(ids), *(truth([*ids, n]) for n in range(1, self.labels))]
        if not on:
            return raws
        if self.v < (0, 10):  # also with one label
            return softmax(raws)
        return [sigmoid(raws[0])] if len(raws) == 1 else softmax(raws)

    def read(self, path, body):
        """The token ids of the inputs, or a refusal."""
        if "messages" in body:
            if path == "/classify" and self.v < (0, 11, 2):
                return refuse(400, "[{'type': 'missing', 'loc': ('body', 'input'), 'msg': 'Field required'}]")
            return [self.rendered(body["messages"])]
        given = body["input"]
        given = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        if not isinstance(given[0], str):
            if self.v < (0, 20):
                return refuse(400, "[{'type': 'string_type', 'loc': ('body', 'input', 'str')}]")
            return given
        has_field = self.v >= (0, 11, 2) or path == "/pooling"
        return [self.ids(text, body.get("add_special_tokens", True) if has_field else True) for text in given]

    def activated(self, path, body):
        default = not self.raw
        if self.v < (0, 10) or (self.v <= (0, 11, 0) and path == "/pooling"):
            return default
        if self.v <= (0, 11, 0):
            return body.get("activation", default)
        if self.v <= (0, 13, 99):
            for name in ("softmax", "activation"):
                # if a := getattr(parameters, name) is not None: return a
                if a := body.get(name) is not None:
                    return a
            return body.get("use_activation", default)
        if self.v < (0, 20):
            given = [body[name] for name in ("softmax", "activation", "use_activation") if name in body]
            return given[0] if given else default
        return body.get("use_activation", default)


class SGLang(Fake):
    """SGLang: raw at /classify; /v1/classify answers 1.0 to everything; text gets special tokens."""

    def __init__(self, tokenizer, old=False, generation=False, cut=None, model=MODEL):
        super().__init__(tokenizer)
        self.old, self.generation, self.cut, self.model = old, generation, cut, model

    def answer(self, method, path, body):
        if (method, path) == ("GET", "/get_model_info" if self.old else "/model_info"):
            return {"model_path": self.model, "tokenizer_path": self.model, "is_generation": self.generation}
        if (method, path) == ("GET", "/get_server_info" if self.old else "/server_info"):
            return {"model_path": MODEL, "version": "0.5.23"}
        if (method, path) == ("GET", "/v1/models"):
            return {"data": [{"id": self.model, "owned_by": "sglang", "root": self.model, "max_model_len": 400}]}
        if (method, path) == ("POST", "/v1/classify"):
            return {"data": [{"index": 0, "label": "LABEL_0", "probs": [1.0], "num_classes": 1}]}
        if (method, path) != ("POST", "/classify"):
            return super().answer(method, path, body)
        if ("text" in body) == ("input_ids" in body):
            return 400, {"error": {"message": "Either text or input_ids should be provided."}}, {}
        read = body["input_ids"] if "input_ids" in body else [self.ids(t) for t in body["text"]]
        read = [ids[: self.cut] for ids in read]
        return [{"embedding": [truth(ids)], "meta_info": {"id": "x", "prompt_tokens": len(ids)}} for ids in read]


class TEI(Fake):
    """TEI: pairs two strings, sorts labels, squashes and truncates by default, takes 32 inputs and 2 MB."""

    def __init__(self, tokenizer, labels=("LABEL_0",), kind=None, limit=400):
        super().__init__(tokenizer)
        self.labels, self.limit = labels, limit
        self.kind = kind or ("reranker" if len(labels) == 1 else "classifier")

    def answer(self, method, path, body):
        if (method, path) == ("GET", "/info"):
            names = {str(i): name for i, name in enumerate(self.labels)}
            kind = {self.kind: {"id2label": names, "label2id": {n: i for i, n in names.items()}}}
            about = {"model_id": MODEL, "model_sha": "abc123", "model_dtype": "float16", "model_type": kind}
            about |= {"max_input_length": self.limit, "max_client_batch_size": 32, "auto_truncate": True}
            return {**about, "version": "1.9.3"}
        if (method, path) != ("POST", "/predict"):
            return super().answer(method, path, body)
        inputs = body["inputs"]
        if len(json.dumps(body)) > 2_000_000:
            return 413, {"error": "payload too large", "error_type": "Validation"}, {}
        pair = isinstance(inputs, str) or isinstance(inputs[0], str)  # one text, or two strings: one pair
        batch = [inputs] if pair else inputs
        if len(batch) > 32:
            return 413, {"error": f"batch size {len(batch)} > maximum 32", "error_type": "Validation"}, {}
        read = [self.ids(text) for text in batch]
        if any(len(ids) > self.limit for ids in read):
            if not body.get("truncate", True):
                return 413, {"error": "`inputs` must have less than 400 tokens.", "error_type": "Validation"}, {}
            read = [ids[: self.limit] for ids in read]
        found = []
        for ids in read:
            scores = [truth([*ids, n] if n else ids) for n in range(len(self.labels))]
            if any(math.isnan(s) for s in scores):
                return 424, {"error": "prediction contains NaN", "error_type": "Backend"}, {}
            if not body.get("raw_scores", False):
                scores = [sigmoid(scores[0])] if len(scores) == 1 else softmax(scores)
            pairs = [{"score": s, "label": name} for s, name in zip(scores, self.labels, strict=True)]
            found.append(sorted(pairs, key=lambda p: -p["score"]))
        return 200, found, {"x-compute-tokens": str(sum(map(len, read)))}


class OpenRLHF(Fake):
    """serve_rm: adds no special tokens and no EOS, and cuts without saying."""

    def __init__(self, tokenizer, path="/get_reward", cut=2048, scale=lambda x: x):
        super().__init__(tokenizer)
        self.path, self.cut, self.scale = path, cut, scale

    def answer(self, method, path, body):
        if path != self.path:
            return super().answer(method, path, body)
        if method != "POST":
            return 405, {"detail": "Method Not Allowed"}, {}
        rewards = [self.scale(truth(self.ids(text, False)[: self.cut])) for text in body["query"]]
        return {"rewards": rewards, "scores": rewards, "extra_logs": {}}


class NIM(Fake):
    """NIM: a chat completion that says the reward."""

    def __init__(self, tokenizer, say=lambda ids: f"reward:{truth(ids)}"):
        super().__init__(tokenizer)
        self.say = say

    def answer(self, method, path, body):
        if (method, path) == ("GET", "/v1/metadata"):
            return {"version": "1.10.0", "modelInfo": [{"shortName": "rm"}]}
        if (method, path) == ("GET", "/v1/models"):
            return {"object": "list", "data": [{"id": MODEL, "owned_by": "system", "root": MODEL}]}
        if (method, path) != ("POST", "/v1/chat/completions"):
            return super().answer(method, path, body)
        message = {"role": "assistant", "content": self.say(self.rendered(body["messages"]))}
        return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


class Chat(Fake):
    """An OpenAI-compatible server of a language model."""

    def answer(self, method, path, body):
        if (method, path) == ("GET", "/v1/models"):
            return {"object": "list", "data": [{"id": "gpt-oss", "owned_by": "llamacpp"}]}
        if (method, path) == ("POST", "/v1/chat/completions"):
            message = {"role": "assistant", "content": "Paris, of course."}
            return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        return super().answer(method, path, body)


class Site(Fake):
    """A web site that has a page for everything."""

    def answer(self, method, path, body):
        return 200, b"<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"}
