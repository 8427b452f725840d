"""SGLang: its own /classify, which gives raw logits.

Never /v1/classify, which puts a softmax over the one logit and answers 1.0 to everything, nor /v1/score or /v1/rerank,
which leave out the chat template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tail_bench.providers.served.wire import (
    Form,
    Input,
    Item,
    Malformed,
    Plan,
    Reply,
    Server,
    count_of,
    records,
    vector,
)


def plans(server: Server, inputs: frozenset[Input]) -> list[Plan]:
    """Token ids, or pairs of texts for a cross-encoder; it takes no messages."""
    form: Input | None = "pair" if "pair" in inputs else "ids" if "ids" in inputs else None
    return [Plan("/classify", form)] if form else []


def body(plan: Plan, items: Sequence[Item], raw: bool) -> dict[str, Any]:
    """A request of ids or pairs."""
    values = [list(item.value) for item in items]
    return {"model": plan.model, "input_ids" if plan.input == "ids" else "text": values}


def read(plan: Plan, reply: Any, headers: Mapping[str, str], n: int) -> Reply:
    """Its reply, a list also where one input was asked about."""
    found = records([reply] if isinstance(reply, Mapping) else reply, n, "embeddings")
    counts = []
    for record in found:
        about = record.get("meta_info")
        if not isinstance(about, Mapping):
            raise Malformed("an embedding without its meta_info")
        counts.append(count_of(about.get("prompt_tokens")))
    known = [c for c in counts if c is not None]
    return Reply(tuple(vector(r.get("embedding")) for r in found), sum(known) if len(known) == n else None)


FORM = Form(
    title="SGLang",
    plans=plans,
    body=body,
    read=read,
    start="python -m sglang.launch_server --model-path MODEL --is-embedding",
    by_design=True,
)
