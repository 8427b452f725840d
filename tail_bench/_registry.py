"""What Inspect finds when it loads our entry point. A provider's code is imported only when its model is asked for."""

from __future__ import annotations

from typing import Any, cast

from inspect_ai.model import ModelAPI, modelapi

from tail_bench.scorer import ladder_scorer, tail_metrics
from tail_bench.tasks import tail_judge, tail_reward, tail_rubric

__all__ = ["ladder_scorer", "tail_judge", "tail_metrics", "tail_reward", "tail_rubric"]


@modelapi(name="builtin")
def builtin() -> type[ModelAPI]:
    from tail_bench.providers.builtin import Builtin
    from tail_bench.providers.reference import ReferenceRewardModel

    def made(model_name: str, *args: Any, **kwargs: Any) -> ModelAPI:
        kind = ReferenceRewardModel if model_name == "reference" else Builtin
        return kind(model_name, *args, **kwargs)

    return cast(type[ModelAPI], made)  # to Inspect, what makes a provider


@modelapi(name="litellm")
def litellm() -> type[ModelAPI]:
    from tail_bench.providers.litellm import LiteLLM

    return LiteLLM


@modelapi(name="rm")
def rm() -> type[ModelAPI]:
    from tail_bench.providers.local.rm import TransformersRewardModel

    return TransformersRewardModel


@modelapi(name="rm-dpo")
def rm_dpo() -> type[ModelAPI]:
    from tail_bench.providers.local.dpo import DPORewardModel

    return DPORewardModel


@modelapi(name="rm-python")
def rm_python() -> type[ModelAPI]:
    from tail_bench.providers.rm_python import PythonRewardModel

    return PythonRewardModel


@modelapi(name="rm-server")
def rm_server() -> type[ModelAPI]:
    from tail_bench.providers.served.rm_server import ServedRewardModel

    return ServedRewardModel
