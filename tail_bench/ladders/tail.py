"""Which responses are in the tail of their ladder (docs/statistics.md, 2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tail_bench.errors import InputError
from tail_bench.ladders.schema import Tier
from tail_bench.stats.pairs import GOLD_TOLERANCE

TIERS: tuple[str, ...] = get_args(Tier)
FORMS = "tiers:excellent,great | top_k:2 | top_fraction:0.25 | threshold:4 | quantile:0.75"
DEFAULT_FOR_TIERS = "tiers:excellent,great"
DEFAULT = "top_k:2"


def default_tail(tiers: Iterable[str | None]) -> str:
    """The tail where nobody chose one: the two upper tiers, else each ladder's best two (the paper's refinement)."""
    return DEFAULT_FOR_TIERS if any(t is not None for t in tiers) else DEFAULT


@dataclass(frozen=True)
class TailSpec:
    """One of the five definitions of the tail: `kind` and its argument (tiers, or a number)."""

    kind: str
    value: float = 0.0
    tiers: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: object) -> TailSpec:
        """Read `kind:value`; InputError lists the forms. (Inspect splits -T values at commas: a list is joined.)"""
        if isinstance(text, TailSpec):
            return text
        text = ",".join(map(str, text)) if isinstance(text, (list, tuple)) else str(text).strip()
        kind, _, argument = text.partition(":")
        if kind == "tiers":
            tiers = tuple(t.strip() for t in argument.split(",") if t.strip())
            unknown = [t for t in tiers if t not in TIERS]
            if not tiers or unknown:
                raise InputError(f"tail {text!r}: tiers are {', '.join(TIERS)}; the forms are {FORMS}")
            return cls("tiers", tiers=tuple(t for t in TIERS if t in tiers))
        try:
            value = float(argument)
        except ValueError:
            raise InputError(f"tail {text!r} is none of these; the forms are {FORMS}") from None
        problem = (
            {
                "top_k": None if value >= 2 and value == int(value) else "k must be a whole number of at least 2",
                "top_fraction": None if 0 < value <= 1 else "the fraction must be above 0 and at most 1",
                "threshold": None if math.isfinite(value) else "the threshold must be finite",
                "quantile": None if 0 <= value <= 1 else "the quantile must be from 0 to 1",
            }.get(kind, f"the forms are {FORMS}")
            if math.isfinite(value)
            else "the number must be finite"
        )
        if problem:
            raise InputError(f"tail {text!r}: {problem}")
        return cls(kind, value)

    def __str__(self) -> str:
        if self.kind == "tiers":
            return f"tiers:{','.join(self.tiers)}"
        return f"{self.kind}:{int(self.value) if self.value.is_integer() else self.value!r}"

    def members(
        self, golds: NDArray[np.float64], tiers: Sequence[str | None], gold_ranks: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which of a ladder's K responses are in its tail: (K,) bool from (K,) golds, K tiers and (K,) `gold_ranks`.

        Ties at the edge are all in. `gold_ranks` place each gold in the whole data set (see `gold_ranks`), so that a
        quantile tail is the same whichever ladders happen to be run.
        """
        if self.kind == "tiers":
            return np.array([t in self.tiers for t in tiers], dtype=bool)
        if self.kind == "threshold":
            return golds >= self.value - GOLD_TOLERANCE
        if self.kind == "quantile":
            return gold_ranks >= self.value - GOLD_TOLERANCE
        k = int(self.value) if self.kind == "top_k" else max(2, math.ceil(self.value * len(golds) - 1e-9))
        edge = np.sort(golds)[max(0, len(golds) - k)]
        return np.asarray(golds >= edge - GOLD_TOLERANCE)


def gold_ranks(golds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) share of the other golds that are not above each gold, in [0, 1], from all N golds of a data set.

    A gold is at or above numpy's linear q-quantile exactly if its rank is at least q: the quantile lies between the
    order statistics at floor and ceil of (N - 1) q, and the rank times (N - 1) is the last index that holds the gold.
    """
    last = np.searchsorted(np.sort(golds), golds + GOLD_TOLERANCE, side="right") - 1
    return last / max(1, len(golds) - 1)
