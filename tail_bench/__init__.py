"""tail_bench: does a grader tell excellent responses from merely great ones?

ladders = tail_bench.load("ladders")            # or a path to JSONL or Parquet
report = tail_bench.report(ladders, scores)     # scores: {ladder id: {response id: reward or None}}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tail_bench.callback import TailCallback as TailCallback
    from tail_bench.errors import InputError
    from tail_bench.ladders.load import load
    from tail_bench.reporting import Report, report

__version__ = "0.1.0"
__all__ = ["InputError", "Report", "__version__", "load", "report"]

# Loaded on first use: `import tail_bench` must not cost a training script numpy, pydantic or Inspect.
# (No module may bear one of these names: importing it would put the module in the function's place.)
_HOME = {
    "InputError": "tail_bench.errors",
    "load": "tail_bench.ladders.load",
    "report": "tail_bench.reporting",
    "Report": "tail_bench.reporting",
    "TailCallback": "tail_bench.callback",  # needs the extra hf, so `import *` leaves it out
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tail_bench' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
