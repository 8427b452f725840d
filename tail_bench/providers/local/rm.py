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
    Kind,
    Loaded,
    check_weights,
    device_of,
    facts_of,
    folder_stamp,
    head_of,
    kind_of,
    load,
    load_config,
)
from tail_bench.providers.local.options import RewardOptions
from tail_bench.providers.local.rewards import rewards
from tail_bench.providers.options import options_of
from tail_bench.providers.rendering import (
    Rendered,
    Renderer,
    Unrenderable,
    commit_of,
    load_renderer,
    source_of,
)
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest

PAD_IS_END = (
    "the model's pad token also ends its conversations: transformers reads the reward at the token before, other"
    " engines at the last"
)


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
        self._facts: dict[str, Any] = {}
        self._warnings: list[str] = []
        self.batcher = Batcher(self._forward, self.options.batch_size, self._load)

    def check(self) -> None:
        """InputError where folder, configuration, tokenizer or options do not fit, before weights are loaded."""
        device_of(self.options.device)
        _ = self.head, self.renderer
        check_weights(self.source)

    @cached_property
    def pinned(self) -> RewardOptions:
        """The options with the commit that the revision is now, so that a run loads one version of the model."""
        return self.options.model_copy(update={"revision": commit_of(self.source, self.options.revision)})

    @cached_property
    def model_config(self) -> Any:
        """The model's configuration."""
        return load_config(self.source, self.pinned)

    @cached_property
    def kind(self) -> Kind:
        """What kind of model it is."""
        return kind_of(self.source, self.model_config, self.options)

    @cached_property
    def head(self) -> int | None:
        """Which of the model's outputs is the reward, None where there is one."""
        return head_of(self.source, self.model_config, self.kind, self.options)

    @cached_property
    def renderer(self) -> Renderer:
        """What makes tokens of conversations."""
        return load_renderer(
            self.source,
            revision=self.pinned.revision,
            template=self.options.template,
            max_length=self.options.max_length,
            trust_remote_code=self.options.trust_remote_code,
            step_token=self.options.step_token,
        )

    def _load(self) -> None:
        self.check()
        self.loaded = load(self, self.source, self.model_config, self.kind, self.pinned)
        if self.loaded.own_class and not self.loaded.pads:
            self.batcher.batch_size = 1
        self._facts = facts_of(self.loaded, self.pinned) | {
            "template_hash": self.renderer.template_hash,
            "max_length": self.renderer.max_length,
            "activation": "softmax over the labels of a step" if self.renderer.step_id is not None else "none",
            "output": self.options.output,
            "head": self.options.head,
        }
        self._warnings = list(self.renderer.cautions)

    def _forward(self, batch: Sequence[Rendered]) -> list[float]:
        assert self.loaded is not None
        if self.loaded.kind == "sequence" and self.loaded.pads and batch[0].pair is None:
            pad = self.model_config.get_text_config().pad_token_id
            if any(item.ids[-1] == pad for item in batch) and PAD_IS_END not in self._warnings:
                self._warnings.append(PAD_IS_END)
        return rewards(batch, self.loaded, self.options, self.head, self.renderer.step_id)

    async def score(self, request: ScoreRequest) -> list[Reward]:
        try:
            return await render_and_score(self.renderer, self.batcher, request)
        except InputError as error:
            raise prerequisite_error(error) from error

    def fingerprint(self) -> str:
        said = f"{self.pinned!r} {folder_stamp(self.source)} {self.renderer.fingerprint}"
        return hashlib.sha256(said.encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        return {**self._facts, **({"warnings": list(self._warnings)} if self._warnings else {})}

    def idle(self) -> bool:
        return self.batcher.idle

    def release(self) -> None:
        self.loaded = None
        self.batcher.reset()

    async def aclose(self) -> None:
        self.release()


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
