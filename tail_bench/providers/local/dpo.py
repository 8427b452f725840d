"""`rm-dpo/POLICY -M ref=REFERENCE`: the reward that a policy trained with DPO implies.

r(x, y) = beta * (log pi(y | x) - log pi_ref(y | x)), up to a term that only the prompt decides (Rafailov et al. 2023,
arXiv 2305.18290, section 4). beta orders nothing, so it is left out. `norm=avg` divides by the response's tokens.
"""

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
    device_of,
    facts_of,
    folder_stamp,
    import_torch,
    load,
    load_config,
)
from tail_bench.providers.local.options import DPOOptions
from tail_bench.providers.local.rewards import padded
from tail_bench.providers.local.rm import render_and_score
from tail_bench.providers.options import options_of
from tail_bench.providers.rendering import Rendered, Renderer, commit_of, load_renderer, load_tokenizer, source_of
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest

ITSELF = "policy and reference are the same model, whose implicit reward is 0 for every response"


class DPORewardModel(RewardModelAPI):
    """`rm-dpo/POLICY`; -M arguments are those of DPOOptions."""

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
        self.model_args = model_args
        try:
            self.source = source_of(model_name, "--model rm-dpo/")
        except InputError as error:
            raise prerequisite_error(error) from error
        self.policy: Loaded | None = None
        self.reference: Loaded | None = None
        self._facts: dict[str, Any] = {}

    @cached_property
    def options(self) -> DPOOptions:
        """The -M arguments, read late: Inspect makes a second one of us without them."""
        return options_of(DPOOptions, f"rm-dpo/{self.model_name}", self.model_args)

    @cached_property
    def batcher(self) -> Batcher:
        """What batches across ladders."""
        return Batcher(self._forward, self.options.batch_size, self._load)

    @cached_property
    def renderer(self) -> Renderer:
        """What makes tokens of conversations: the policy's, for both models."""
        return load_renderer(
            self.source,
            revision=self.pinned.revision,
            template=self.options.template,
            max_length=self.options.max_length,
            trust_remote_code=self.options.trust_remote_code,
        )

    @cached_property
    def pinned(self) -> DPOOptions:
        """The options with the commit that the policy's revision is now."""
        return self.options.model_copy(update={"revision": commit_of(self.source, self.options.revision)})

    @cached_property
    def ref_source(self) -> str:
        """The reference model's folder or hub id."""
        return source_of(self.options.ref, "-M ref=")

    @cached_property
    def ref_options(self) -> DPOOptions:
        """How the reference is loaded: the options with its commit."""
        return self.options.model_copy(update={"revision": commit_of(self.ref_source, self.options.ref_revision)})

    @cached_property
    def configs(self) -> tuple[Any, Any]:
        """The configurations of policy and reference."""
        return load_config(self.source, self.pinned), load_config(self.ref_source, self.ref_options)

    def check(self) -> None:
        """InputError where a folder, a tokenizer or an option does not fit, before weights are loaded."""
        device_of(self.options.device)
        if self.options.template == "pair":
            raise InputError("rm-dpo: -M template=pair: a policy writes to a chat template")
        if not self.renderer.tokenizer.is_fast:
            raise InputError(f"{self.source}: its tokenizer cannot say where the response begins (it has no fast form)")
        for source, config in zip((self.source, self.ref_source), self.configs, strict=True):
            architecture = next(iter(config.architectures or []), "")
            if not architecture.endswith(("ForCausalLM", "LMHeadModel")):
                raise InputError(f"{source}: is no causal language model ({architecture or 'architecture not stated'})")
            check_weights(source)
        theirs = load_tokenizer(self.ref_source, self.ref_options.revision, self.options.trust_remote_code)
        if theirs.get_vocab() != self.renderer.tokenizer.get_vocab():
            raise InputError(f"-M ref={self.options.ref}: its vocabulary is not that of {self.source}")

    def _load(self) -> None:
        self.check()
        config, ref_config = self.configs
        self.policy = load(self, self.source, config, "causal", self.pinned)
        self.reference = load(self, self.ref_source, ref_config, "causal", self.ref_options)
        warnings = [*self.renderer.cautions, *([ITSELF] if self.source == self.ref_source else [])]
        self._facts = facts_of(self.policy, self.pinned) | {
            "template_hash": self.renderer.template_hash,
            "max_length": self.renderer.max_length,
            "activation": "none",
            "reference": self.options.ref,
            "reference_revision": self.ref_options.revision,
            "norm": self.options.norm,
            **({"warnings": warnings} if warnings else {}),
        }

    def _forward(self, batch: Sequence[Rendered]) -> list[float]:
        assert self.policy is not None
        assert self.reference is not None
        policy, reference = log_likelihoods(batch, self.policy), log_likelihoods(batch, self.reference)
        ratios = [ours - theirs for ours, theirs in zip(policy, reference, strict=True)]
        if self.options.norm == "sum":
            return ratios
        return [ratio / (len(item.ids) - (item.start or 0)) for ratio, item in zip(ratios, batch, strict=True)]

    async def score(self, request: ScoreRequest) -> list[Reward]:
        try:
            return await render_and_score(self.renderer, self.batcher, request, start=True)
        except InputError as error:
            raise prerequisite_error(error) from error

    def fingerprint(self) -> str:
        said = f"{self.pinned!r} {folder_stamp(self.source)} {self.ref_options!r} {folder_stamp(self.ref_source)}"
        return hashlib.sha256(f"{said} {self.renderer.fingerprint}".encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        return self._facts

    def idle(self) -> bool:
        return self.batcher.idle

    def release(self) -> None:
        self.policy = self.reference = None
        self.batcher.reset()

    async def aclose(self) -> None:
        self.release()


def log_likelihoods(batch: Sequence[Rendered], loaded: Loaded) -> list[float]:
    """log p(response | prompt) of each conversation: the sum over the tokens from `start` on, in float32."""
    torch = import_torch()
    given = padded(batch, loaded)
    with torch.no_grad():
        logits = loaded.model(**given).logits[:, :-1]
        targets = given["input_ids"][:, 1:]
        found = []
        for item, own, ids in zip(batch, logits, targets, strict=True):
            # Of one conversation after the other: all vocabularies in float32 at once would need the most memory.
            first, last = max((item.start or 0) - 1, 0), len(item.ids) - 1
            logp = torch.log_softmax(own[first:last].float(), dim=-1)
            found.append(float(logp.gather(-1, ids[first:last, None]).sum()))
        return found
