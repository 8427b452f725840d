"""Text Embeddings Inference: /predict with raw scores, for DeBERTa and ModernBERT reward models.

A list of two strings is ONE pair to it, labels come sorted by score, and it cuts what is too long unless told not to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tail_bench.providers.served.wire import (
    MEGABYTE,
    Form,
    Input,
    Item,
    Malformed,
    Plan,
    Reply,
    Server,
    count_of,
    shown,
)


def plans(server: Server, inputs: frozenset[Input]) -> list[Plan]:
    """Texts or pairs of texts, to which it adds special tokens."""
    form: Input | None = "pair" if "pair" in inputs else "text" if "text" in inputs else None
    if form is None:
        return []
    # It refuses more than 2 MB; the rest of the request needs some of it.
    return [Plan("/predict", form, True, ("raw_scores",), None, server.labels, server.batch or 32, int(1.9 * MEGABYTE))]


def body(plan: Plan, items: Sequence[Item], raw: bool) -> dict[str, Any]:
    """A request: every input a list of its own, of one text or of two."""
    inputs = [list(item.value) if plan.input == "pair" else [item.value] for item in items]
    return {"inputs": inputs, "raw_scores": raw, "truncate": False}


def read(plan: Plan, reply: Any, headers: Mapping[str, str], n: int) -> Reply:
    """Its reply: for each input the labels with their scores, whatever their order."""
    if not isinstance(reply, list) or len(reply) != n:
        raise Malformed(f"no list of {n} predictions: {shown(reply)}")
    found = []
    for prediction in reply:
        if not isinstance(prediction, list) or not all(
            isinstance(p, Mapping) and isinstance(p.get("label"), str) for p in prediction
        ):
            raise Malformed(f"a prediction that is no list of labels and scores: {shown(prediction)}")
        by_label = {p["label"]: p.get("score") for p in prediction}
        labels = plan.labels or tuple(sorted(by_label))
        if set(labels) != set(by_label) or len(by_label) != len(prediction):
            raise Malformed(f"labels {shown(', '.join(by_label))}, where the model has {shown(', '.join(labels))}")
        found.append({label: by_label[label] for label in labels})
    stated = headers.get("x-compute-tokens", "")
    return Reply(tuple(found), count_of(int(stated)) if stated.isdecimal() and len(stated) < 12 else None)


FORM = Form(
    title="TEI",
    plans=plans,
    body=body,
    read=read,
    start="text-embeddings-router --model-id MODEL",
)
