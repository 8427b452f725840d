"""From a batch of conversations to rewards: pad, run the model, read the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tail_bench.errors import InputError
from tail_bench.providers.local.loading import RIGHT_AND_WRONG, Loaded, import_torch
from tail_bench.providers.local.options import RewardOptions
from tail_bench.providers.rendering import Rendered


def padded(batch: Sequence[Rendered], loaded: Loaded) -> dict[str, Any]:
    """Tensors (B, T) of a batch, padded on the right: padding on the left shifts the positions of some models.

    ValueError where the model takes one conversation at a time, and the batch has more.
    """
    torch = import_torch()
    config = loaded.model.config.get_text_config()
    pad = config.pad_token_id
    if not loaded.pads:
        if loaded.own_class and len(batch) > 1:
            raise ValueError("a class of its own without a pad token scores one conversation at a time")
        # Without a pad token transformers reads the last token, one conversation at a time. With one that ends none of
        # them it finds the same token in a batch.
        last = {item.ids[-1] for item in batch}
        pad = next(i for i in range(len(last) + 1) if i not in last)
        config.pad_token_id = pad if len(batch) > 1 else None
    width = max(len(item.ids) for item in batch)

    def tensor(rows: Sequence[Sequence[int]], filler: int) -> Any:
        return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows], device=loaded.device)

    given = {
        "input_ids": tensor([item.ids for item in batch], pad),
        "attention_mask": tensor([[1] * len(item.ids) for item in batch], 0),
    }
    if batch[0].type_ids is not None:
        given["token_type_ids"] = tensor([item.type_ids or () for item in batch], 0)
    return given


def rewards(
    batch: Sequence[Rendered], loaded: Loaded, options: RewardOptions, head: int | None, step_id: int | None
) -> list[float]:
    """The rewards of a batch; InputError where the output is not of the form that the options say."""
    torch = import_torch()
    # Not inference_mode: what a model in training keeps of a pass (positions, say) would be of no use to it then.
    with torch.no_grad():
        output = loaded.model(**padded(batch, loaded))
        if options.output == "score":
            values = getattr(output, "score", None)
            if values is None:
                raise InputError(f"-M output=score: its output has no score, but {', '.join(output.keys())}")
        else:
            values = output.logits if hasattr(output, "logits") else output[0]
        values = values.float()
        if values.ndim == 3 or (values.ndim == 2 and loaded.kind == "token"):
            return _of_tokens(batch, values.reshape(*values.shape[:2], -1), options, head, step_id)
        values = values.reshape(len(batch), -1)
        return [float(v) for v in values[:, _chosen(head, values.shape[1])]]


def _chosen(head: int | None, n: int) -> int:
    """Which of n outputs is the reward; InputError where it is not clear, or there are not so many."""
    if head is None and n == 1:
        return 0
    if head is None or head >= n:
        said = "" if head is None else f" and none with the number {head}"
        raise InputError(f"its output has {n} numbers a response{said}: say which is the reward with -M head=NUMBER")
    return head


def _of_tokens(
    batch: Sequence[Rendered], values: Any, options: RewardOptions, head: int | None, step_id: int | None
) -> list[float]:
    """Rewards from values (B, T, labels) of each token: of the last one, or aggregated over the steps' ends."""
    labels = values.shape[2]
    if step_id is None:
        chosen = _chosen(head, labels)
        return [float(own[len(item.ids) - 1, chosen]) for item, own in zip(batch, values, strict=True)]
    chosen = 1 if head is None and labels == RIGHT_AND_WRONG else _chosen(head, labels)
    found = []
    for item, own in zip(batch, values, strict=True):
        steps = own[[i for i, token in enumerate(item.ids) if token == step_id]]
        if not len(steps):
            raise ValueError("the step token is not in the rendered text")
        # Several labels are classes (wrong, right): a step's score is the probability of the one asked for.
        scores = steps.softmax(-1)[:, chosen] if labels > 1 else steps[:, 0]
        match options.aggregate:
            case "last":
                found.append(float(scores[-1]))
            case "mean":
                found.append(float(scores.mean()))
            case "min":
                found.append(float(scores.min()))
            case "prod":
                found.append(float(scores.prod()))
    return found
