"""OpenRLHF's remote reward model, and every server of one's own with its wire format: rendered texts in, rewards out.

Nothing can be asked of it: neither its model, nor how many tokens it read, nor whether it put an activation on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tail_bench.providers.served.wire import Form, Input, Item, Malformed, Plan, Reply, Server, shown

CUT = 2048
"""Its server cuts what is longer (--data.max_len), without saying, unless told otherwise."""


def plans(server: Server, inputs: frozenset[Input]) -> list[Plan]:
    """Texts with their special tokens; it adds none."""
    return [Plan("", "text")] if "text" in inputs else []


def body(plan: Plan, items: Sequence[Item], raw: bool) -> dict[str, Any]:
    """A request of whole rendered texts. There are no labels: what a grader is shown holds no answers."""
    return {
        "query": [item.value for item in items],
        "prompts": [item.prompt for item in items],
        "labels": [None] * len(items),
    }


def read(plan: Plan, reply: Any, headers: Mapping[str, str], n: int) -> Reply:
    """Its reply's rewards."""
    rewards = reply.get("rewards") if isinstance(reply, Mapping) else None
    if not isinstance(rewards, list):
        raise Malformed(f'no object with "rewards": {shown(reply)}')
    if len(rewards) != n:
        raise Malformed(f"{len(rewards)} rewards for {n} inputs")
    if any(isinstance(r, (dict, str, bool)) or (isinstance(r, list) and len(r) != 1) for r in rewards):
        raise Malformed(f"rewards that are not numbers: {shown(rewards)}")
    return Reply(tuple({"reward": r[0] if isinstance(r, list) else r} for r in rewards))


FORM = Form(
    title="OpenRLHF",
    plans=plans,
    body=body,
    read=read,
    start="python -m openrlhf.cli.serve_rm",
    cautions=(
        "an OpenRLHF server cannot be asked which model it serves, how many tokens it read or whether its rewards are"
        " raw: that it is the one meant, with the same tokenizer, is taken on trust",
    ),
)
