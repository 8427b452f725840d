"""What is asked of a served reward model and what comes back, whatever the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from inspect_ai.model import ChatMessage, ChatMessageAssistant

from tail_bench.errors import printable
from tail_bench.graders.messages import message_dict, text_of
from tail_bench.providers.rendering import Rendered, Renderer, Unrenderable

Api = Literal["vllm", "sglang", "tei", "openrlhf", "nim"]
APIS: tuple[Api, ...] = get_args(Api)

Input = Literal["ids", "text", "pair", "messages"]
"""The form of a conversation on the wire: `messages` is rendered by the server, all others here."""

MEGABYTE = 1_000_000


class Malformed(Exception):
    """A reply that is not of the server's form; str(error) says what came."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself.

    models: the names that it goes by, each with the folder or hub id behind it where it tells. labels: of its
    classifier's outputs, in their order. batch: the most inputs a request.
    """

    api: Api
    version: str | None = None
    models: tuple[tuple[str, str | None], ...] = ()
    max_length: int | None = None
    dtype: str | None = None
    revision: str | None = None
    labels: tuple[str, ...] = ()
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server is asked.

    path: of the endpoint, empty for the address as given. adds_special: it puts special tokens around text. switches:
    names of the field that turns the activation off, the likeliest first; only the first is ever sent. model: the name
    that goes into a request. batch, size: the most inputs and bytes a request.
    """

    path: str
    input: Input
    adds_special: bool = False
    switches: tuple[str, ...] = ()
    model: str | None = None
    labels: tuple[str, ...] = ()
    batch: int = 64
    size: int = 32 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt with one response: rendered here, or as messages where the server renders."""

    prompt: Sequence[ChatMessage]
    response: ChatMessageAssistant
    rendered: Rendered | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation in the form that a plan sends.

    value: token ids, a text, a pair of texts or messages. tokens: how many they are, None where the server renders.
    prompt: the rendered text before the response, which OpenRLHF is sent too.
    """

    value: Any
    tokens: int | None = None
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: for each input its scores by name, in the server's order.

    tokens: how many the server read of all inputs together, None where it does not say. rows: for each input, how many
    vectors came (the last is taken), where a model scores tokens.
    """

    vectors: tuple[dict[str, Any], ...]
    tokens: int | None = None
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """A form of server, as functions.

    title: its name for people. plans: how it may be asked, the likeliest first, given what it says of itself and the
    inputs that can be made. body: of a request; raw: without activation. read: a reply (body, headers) to n inputs,
    Malformed where it is none. start: how it is started. by_design: it has no activation to turn off. cautions:
    warnings that hold for every such server.
    """

    title: str
    plans: Callable[[Server, frozenset[Input]], list[Plan]]
    body: Callable[[Plan, Sequence[Item], bool], dict[str, Any]]
    read: Callable[[Plan, Any, Mapping[str, str], int], Reply]
    start: str
    by_design: bool = False
    cautions: tuple[str, ...] = ()


def inputs_of(renderer: Renderer | None) -> frozenset[Input]:
    """The forms in which a conversation can be sent."""
    if renderer is None:
        return frozenset({"messages"})
    return frozenset({"pair", "ids"}) if renderer.pair else frozenset({"ids", "text"})


def encode(plan: Plan, conversation: Conversation, renderer: Renderer | None) -> Item:
    """The conversation in the plan's form; Unrenderable where it has none that keeps its tokens."""
    rendered = conversation.rendered
    if plan.input == "messages" or rendered is None or renderer is None:
        return Item(messages_of(conversation))
    n = len(rendered.ids)
    if plan.input == "pair":
        if rendered.truncated or rendered.pair is None:
            raise Unrenderable("too long, and a pair of texts cannot be cut here for this server")
        for text in rendered.pair:
            _sendable(text)
        return Item(rendered.pair, n)
    if plan.input == "ids":
        if any(rendered.type_ids or ()):
            raise Unrenderable("this model tells prompt and response apart by token types, which cannot be sent as ids")
        return Item(rendered.ids, n)
    text = _text(rendered, renderer, plan.adds_special)
    said = text_of(conversation.response).strip()
    place = text.rfind(said) if said else -1
    return Item(text, n, text[:place] if place > 0 else "\n".join(m.text for m in conversation.prompt))


def _text(rendered: Rendered, renderer: Renderer, adds_special: bool) -> str:
    """A text that becomes exactly the rendered tokens in a server that adds special tokens, or adds none."""
    whole = rendered.text or ""
    tokenizer = renderer.tokenizer
    first, last = tokenizer.bos_token or tokenizer.cls_token, tokenizer.eos_token or tokenizer.sep_token
    inner = whole.removeprefix(first) if first else whole
    core = inner.removesuffix(last) if last else inner
    for text in dict.fromkeys((whole, inner, core)):
        _sendable(text)
        if tuple(tokenizer(text, add_special_tokens=adds_special, verbose=False)["input_ids"]) == rendered.ids:
            return text
    how = "adds special tokens of its own" if adds_special else "reads text"
    raise Unrenderable(f"no text becomes the model's {len(rendered.ids):,} tokens again in a server that {how}")


def _sendable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unrenderable("it holds half a character, which cannot be sent") from error


def messages_of(conversation: Conversation) -> list[dict[str, Any]]:
    """A conversation as OpenAI's messages. Reasoning stands in the text, where no server leaves it out."""
    messages = []
    for message in (*conversation.prompt, conversation.response):
        record = message_dict(message)
        reasoning = record.pop("reasoning_content", None)
        if reasoning:
            record["content"] = f"<think>\n{reasoning}\n</think>\n\n{record['content']}"
        _sendable(record["content"])
        for call in record.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
        messages.append(record)
    return messages


def count_of(value: Any) -> int | None:
    """A token count that a reply states, None where it states none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def shown(value: Any) -> str:
    """What came, in a few words that are safe to print."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(printable(text).split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def records(reply: Any, n: int, what: str) -> list[Mapping[str, Any]]:
    """A reply's list of n objects, in the order of their `index` where they have one."""
    if not isinstance(reply, list) or not all(isinstance(r, Mapping) for r in reply):
        raise Malformed(f"no list of {what}: {shown(reply)}")
    if len(reply) != n:
        raise Malformed(f"{len(reply)} {what} for {n} inputs")
    if all(isinstance(r.get("index"), int) for r in reply):
        if sorted(r["index"] for r in reply) != list(range(n)):
            raise Malformed(f"{what} whose indices are not 0 to {n - 1}")
        return sorted(reply, key=lambda r: r["index"])
    return reply


def vector(values: Any, labels: Sequence[str] = ()) -> dict[str, Any]:
    """A list of scores by name: the labels, or 0, 1, 2 ..."""
    if not isinstance(values, list) or not values:
        raise Malformed(f"no list of scores: {shown(values)}")
    if any(isinstance(v, (list, dict, str, bool)) for v in values):
        raise Malformed(f"scores that are not numbers: {shown(values)}")
    names = labels if len(labels) == len(values) else [str(i) for i in range(len(values))]
    return dict(zip(names, values, strict=True))
