"""From a batch of conversations to rewards: pad, run the model, read the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tail_bench.errors import InputError
from tail_bench.providers.local.loading import Loaded, import_torch
from tail_bench.providers.local.options import RewardOptions
from tail_bench.providers.rendering import Rendered


def padded(batch: Sequence[Rendered], loaded: Loaded) -> dict[str, Any]:
    """Tensors (B, T) of a batch, padded on the right: padding on the left shifts the positions of some models."""
    torch = import_torch()
    config = loaded.model.config.get_text_config()
    if not loaded.pads:
        # Without a pad token transformers reads the last token, one conversation at a time. With one that ends none of
        # them it finds the same token in a batch.
        last = {item.ids[-1] for item in batch}
        config.pad_token_id = next(i for i in range(len(last) + 1) if i not in last)
    width = max(len(item.ids) for item in batch)

    def tensor(rows: Sequence[Sequence[int]], pad: int) -> Any:
        return torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=loaded.device)

    given = {
        "input_ids": tensor([item.ids for item in batch], config.pad_token_id),
        "attention_mask": tensor([[1] * len(item.ids) for item in batch], 0),
    }
    if batch[0].type_ids is not None:
        given["token_type_ids"] = tensor([item.type_ids or () for item in batch], 0)
    return given


def rewards(
    batch: Sequence[Rendered], loaded: Loaded, options: RewardOptions, head: int, step_id: int | None
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
        if options.head is None and values.shape[1] > 1:
            raise InputError(f"its output has {values.shape[1]} numbers a response: say which with -M head=NUMBER")
        return [float(v) for v in values[:, head]]


def _of_tokens(
    batch: Sequence[Rendered], values: Any, options: RewardOptions, head: int, step_id: int | None
) -> list[float]:
    """Rewards from values (B, T, labels) of each token: of the last one, or aggregated over the steps' ends."""
    if step_id is None:
        return [float(own[len(item.ids) - 1, head]) for item, own in zip(batch, values, strict=True)]
    found = []
    for item, own in zip(batch, values, strict=True):
        steps = own[[i for i, token in enumerate(item.ids) if token == step_id]]
        if not len(steps):
            raise ValueError("the step token is not in the rendered text")
        # Several labels are classes (wrong, right): a step's score is the probability of the one asked for.
        scores = steps.softmax(-1)[:, head] if steps.shape[1] > 1 else steps[:, 0]
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
