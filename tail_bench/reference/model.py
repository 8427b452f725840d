"""The reference model: a response's reward is a weighted sum of its features. numpy only, loaded in milliseconds.

    model = load()
    rewards = model.score("Which is heavier?", ["Lead is.", "I don't"])

Only differences between rewards mean something, and only between responses to one prompt.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tail_bench.errors import InputError
from tail_bench.reference.features import NAMES, features, read_prompt

WEIGHTS = Path(__file__).parent / "reference.safetensors"
KEY = "tail_bench"
FORMAT = "tail_bench.reference/1"
FACTS = ("seed", "ladders", "training_sha256")
"""What the file says of its training: seed of the ladders, how many they were, sha256 of their records."""


@dataclass(frozen=True)
class ReferenceModel:
    """Weights, shape (len(NAMES),), float32; what the file says of its training; the sha256 of the file."""

    weight: NDArray[np.float32]
    trained: Mapping[str, Any]
    sha256: str

    def score(self, prompt: str, responses: Sequence[str]) -> NDArray[np.float32]:
        """The rewards of responses to a prompt, shape (len(responses),), finite; higher is better.

        A response's reward does not depend on the others.
        """
        asked = read_prompt(prompt)
        # A sum of its own for each response: a matrix product may round differently with their number.
        rewards = [math.fsum(features(asked, r) * self.weight) for r in responses]
        return np.array(rewards, dtype=np.float32)


def load(path: Path = WEIGHTS) -> ReferenceModel:
    """The model of a safetensors file; InputError says what is wrong with the file."""
    try:
        data = path.read_bytes()
        with safe_open(path, framework="numpy") as file:
            said = (file.metadata() or {}).get(KEY, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file, or damaged: {error}") from error
    try:
        trained = dict(json.loads(said))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: metadata {KEY} is not a JSON object: {said[:80]!r}") from error
    if trained.get("format") != FORMAT:
        raise InputError(f"{path}: metadata format is {trained.get('format')!r}, must be {FORMAT!r}")
    if trained.get("features") != list(NAMES):
        raise InputError(f"{path}: trained on other features than this version computes; train it again")
    missing = [fact for fact in FACTS if fact not in trained]
    if missing:
        raise InputError(f"{path}: metadata has no {', '.join(missing)}")
    weight = tensors.get("weight")
    if list(tensors) != ["weight"] or weight is None:
        raise InputError(f"{path}: must hold one tensor, weight; holds {', '.join(sorted(tensors)) or 'none'}")
    if weight.dtype != np.float32 or weight.shape != (len(NAMES),):
        raise InputError(
            f"{path}: weight is {weight.dtype} of shape {weight.shape}, must be float32 of shape ({len(NAMES)},)"
        )
    if not np.isfinite(weight).all():
        raise InputError(f"{path}: weight holds numbers that are not finite")
    return ReferenceModel(weight, trained, hashlib.sha256(data).hexdigest())


def as_bytes(weight: NDArray[np.float32], trained: Mapping[str, Any]) -> bytes:
    """The safetensors file of a model, as `load` takes it. `trained`: the FACTS."""
    # One key: safetensors writes several in an order that changes from run to run.
    return save({"weight": weight}, {KEY: json.dumps({"format": FORMAT, "features": NAMES, **trained})})
