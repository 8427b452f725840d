"""`rm/HUB_ID_OR_FOLDER`: a transformers reward model, scored in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from inspect_ai.model import GenerateConfig

from tail_bench.errors import InputError, prerequisite_error
from tail_bench.providers.local.batching import Batcher
from tail_bench.providers.local.loading import (
    Loaded,
    check_weights,
    facts_of,
    folder_stamp,
    head_of,
    import_torch,
    kind_of,
    load,
    load_config,
)
from tail_bench.providers.local.options import RewardOptions
from tail_bench.providers.local.rewards import rewards
from tail_bench.providers.options import options_of
from tail_bench.providers.rendering import Rendered, Renderer, Unrenderable, load_renderer, source_of
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest


class TransformersRewardModel(RewardModelAPI):
    """`rm/NAME`; -M arguments are those of RewardOptions. Weights are loaded once, when the first ladder comes."""

    repeats: ClassVar[bool] = True

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's signature)
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        try:
            self.source = source_of(model_name)
            self.options = options_of(RewardOptions, f"rm/{model_name}", model_args)
        except InputError as error:
            raise prerequisite_error(error) from error
        self.loaded: Loaded | None = None
        self.batcher = Batcher(self._forward, self.options.batch_size, self._load)

    def check(self) -> None:
        """InputError where folder, configuration, tokenizer or options do not fit, before weights are loaded."""
        import_torch()
        _ = self.head, self.renderer
        check_weights(self.source)

    @cached_property
    def model_config(self) -> Any:
        """The model's configuration."""
        return load_config(self.source, self.options)

    @cached_property
    def head(self) -> int:
        """Which of the model's outputs is the reward."""
        kind = kind_of(self.source, self.model_config, self.options)
        return head_of(self.source, self.model_config, kind, self.options)

    @cached_property
    def renderer(self) -> Renderer:
        """What makes tokens of conversations."""
        return load_renderer(
            self.source,
            revision=self.options.revision,
            template=self.options.template,
            max_length=self.options.max_length,
            trust_remote_code=self.options.trust_remote_code,
            step_token=self.options.step_token,
        )

    def _load(self) -> None:
        self.check()
        kind = kind_of(self.source, self.model_config, self.options)
        self.loaded = load(self.source, self.model_config, kind, self.options)

    def _forward(self, batch: Sequence[Rendered]) -> list[float]:
        assert self.loaded is not None
        return rewards(batch, self.loaded, self.options, self.head, self.renderer.step_id)

    async def score(self, request: ScoreRequest) -> list[Reward]:
        try:
            return await render_and_score(self.renderer, self.batcher, request)
        except InputError as error:
            raise prerequisite_error(error) from error

    def fingerprint(self) -> str:
        said = f"{self.options!r} {folder_stamp(self.source)} {self.renderer.template_hash}"
        return hashlib.sha256(said.encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        if self.loaded is None:
            return {}
        found = facts_of(self.source, self.loaded, self.options) | {
            "template_hash": self.renderer.template_hash,
            "max_length": self.renderer.max_length,
            "activation": "none",
            "output": self.options.output,
            "head": self.head,
        }
        warnings = []
        text_config = self.model_config.get_text_config()
        if self.loaded.kind == "sequence" and self.loaded.pads and not self.renderer.pair:
            end = {self.renderer.tokenizer.eos_token_id, text_config.eos_token_id}
            if text_config.pad_token_id in end:
                warnings.append(
                    "the model's pad token is also its end token: transformers reads the reward before the end token,"
                    " other engines at it"
                )
        return {**found, "warnings": warnings} if warnings else found


async def render_and_score(
    renderer: Renderer, batcher: Batcher, request: ScoreRequest, start: bool = False
) -> list[Reward]:
    """A reward for each response; one that cannot be rendered is unscored. `start`: where responses begin is needed."""
    rendered: list[Rendered | str] = []
    for response in request.responses:
        try:
            rendered.append(renderer.render(request.prompt, response, request.truncate, start))
        except Unrenderable as error:
            rendered.append(str(error))
    items = [item for item in rendered if isinstance(item, Rendered)]
    scored = iter(await (batcher.score_alone(items) if request.again else batcher.score(items)))
    return [
        next(scored)._replace(truncated=item.truncated) if isinstance(item, Rendered) else Reward(None, item)
        for item in rendered
    ]
