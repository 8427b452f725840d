"""NVIDIA NIM: a chat completion whose text is the reward, `reward:-25.625`, or several attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tail_bench.providers.served.wire import Form, Input, Item, Malformed, Plan, Reply, Server, shown

ATTRIBUTE = re.compile(r"\s*([a-z_]{1,40}):\s*(-?\d{1,30}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,3})?|-?nan|-?inf)\s*")


def plans(server: Server, inputs: frozenset[Input]) -> list[Plan]:
    """One conversation a request, rendered by the server."""
    return [Plan("/v1/chat/completions", "messages", batch=1)]


def body(plan: Plan, items: Sequence[Item], raw: bool) -> dict[str, Any]:
    """A request of one conversation."""
    (item,) = items
    return {"model": plan.model, "messages": item.value}


def read(plan: Plan, reply: Any, headers: Mapping[str, str], n: int) -> Reply:
    """Its reply's attributes; Malformed where a language model answered in prose."""
    try:
        said = reply["choices"][0]["message"]["content"]
    except (LookupError, TypeError) as error:
        raise Malformed(f"no chat completion: {shown(reply)}") from error
    if not isinstance(said, str) or len(said) > 2000:
        raise Malformed(f"no reward: {shown(said)}")
    found: dict[str, Any] = {}
    for part in said.split(","):
        attribute = ATTRIBUTE.fullmatch(part)
        if attribute is None or attribute[1] in found:
            raise Malformed(f"no reward but text, as of a language model: {shown(said)}")
        found[attribute[1]] = float(attribute[2])
    return Reply((found,))


FORM = Form(
    title="NIM",
    plans=plans,
    body=body,
    read=read,
    start="a NIM container of a reward model",
    cautions=("NIM renders the conversation and does not say whether its rewards are raw: both are taken on trust",),
)
