"""vLLM: /classify, or /pooling where the model is not served as a classifier.

The activation (a sigmoid for one label) is on by default, and the field that turns it off has had two names. From
0.11.2 to 0.13 the older one, false, turns it ON, also beside the newer one. So exactly one name is ever sent, and the
handshake checks what it did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tail_bench.providers.served.wire import Form, Input, Item, Malformed, Plan, Reply, Server, count_of, records, shown
from tail_bench.providers.served.wire import vector as vector_of

Version = tuple[int, int, int]

NEWEST: Version = (999, 0, 0)
"""What a version that cannot be read is taken for; the handshake finds out whether that was right."""


def parse(version: str | None) -> Version:
    """0.11.2, 0.11.2rc1 and 0.11.2.dev7+g123 as (0, 11, 2)."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", version or "")
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else NEWEST


def switches(version: Version, path: str) -> tuple[str, ...]:
    """The field that turns the activation off, by version; several where two versions between which it changed were
    read, and not this one."""
    if version < (0, 10, 0):
        return ()
    if version < (0, 11, 1):
        return ("activation",) if path == "/classify" else ()
    if version < (0, 11, 2) or version == NEWEST:
        return ("use_activation", "activation")
    return ("use_activation",)


def plans(server: Server, inputs: frozenset[Input]) -> list[Plan]:
    """/classify, then /pooling, each with ids, text or messages as the version takes them."""
    version = parse(server.version)
    found = []
    for path in ("/classify", "/pooling"):
        forms: list[tuple[Input, bool]] = []
        if version >= (0, 20, 0):
            forms.append(("ids", False))
        if version < (0, 20, 0) or version == NEWEST:
            # /classify had no add_special_tokens before 0.11.2: it adds them.
            forms.append(("text", path == "/classify" and version < (0, 11, 2)))
        if version >= (0, 11, 2) or path == "/pooling":
            forms.append(("messages", False))
        for form, adds in forms:
            if form in inputs:
                batch = 1 if form == "messages" else 64
                found.append(Plan(path, form, adds, switches(version, path), batch=batch))
    return found


def body(plan: Plan, items: Sequence[Item], raw: bool) -> dict[str, Any]:
    """A request of either endpoint."""
    made: dict[str, Any] = {"model": plan.model}
    if plan.input == "messages":
        (item,) = items
        made |= {"messages": item.value, "add_special_tokens": False, "add_generation_prompt": False}
    else:
        made["input"] = [list(i.value) if plan.input == "ids" else i.value for i in items]
    if plan.input == "text" and not plan.adds_special:
        made["add_special_tokens"] = False
    if plan.switches:
        made[plan.switches[0]] = not raw
    return made


def read(plan: Plan, reply: Any, headers: Mapping[str, str], n: int) -> Reply:
    """Either endpoint's reply; where a model scores every token, the last one's."""
    if not isinstance(reply, Mapping):
        raise Malformed(f"no object: {shown(reply)}")
    found, rows = [], []
    for record in records(reply.get("data"), n, "scores"):
        values = record.get("probs") if plan.path == "/classify" else record.get("data")
        if isinstance(values, list) and values and isinstance(values[-1], list):
            rows.append(len(values))
            values = values[-1]
        found.append(vector_of(values))
    usage = reply.get("usage")
    return Reply(
        tuple(found), count_of(usage.get("prompt_tokens")) if isinstance(usage, Mapping) else None, tuple(rows)
    )


FORM = Form(
    title="vLLM",
    plans=plans,
    body=body,
    read=read,
    start="vllm serve MODEL --runner pooling --convert classify",
)
