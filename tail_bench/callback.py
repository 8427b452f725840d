"""TailCallback: the tail of a reward model while it is trained, with a trainer of transformers or TRL (extra `hf`).

    trainer = RewardTrainer(..., callbacks=[tail_bench.TailCallback("ladders", every_steps=50)])

docs/training.md has worked examples.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tail_bench.bulk.score_file import write_scores
from tail_bench.errors import InputError, listed
from tail_bench.graders.messages import candidate, prompt_messages
from tail_bench.graders.reward import said
from tail_bench.judgments import Judgment, truths_of
from tail_bench.ladders.load import Dataset, as_dataset, load_dataset
from tail_bench.ladders.schema import Ladder
from tail_bench.ladders.tail import TailSpec
from tail_bench.pairing import resolve_tail
from tail_bench.providers.local.batching import scored_in_halves
from tail_bench.providers.local.loading import Loaded, head_of, import_torch
from tail_bench.providers.local.options import RewardOptions
from tail_bench.providers.local.rewards import rewards
from tail_bench.providers.rendering import (
    Rendered,
    Renderer,
    Unrenderable,
    first_line,
    import_transformers,
    least_stated,
)
from tail_bench.providers.reward_model import Reward
from tail_bench.reporting import report

import_torch()  # these two say what to install, where it is missing
import_transformers()

import torch  # noqa: E402
import transformers  # noqa: E402

logger = logging.getLogger(__name__)

AUTOCAST = {"bf16": "bfloat16", "fp16": "float16"}
"""The dtype that the body computes in, by accelerate's name for the trainer's mixed precision."""


class TailCallback(transformers.TrainerCallback):
    """Scores ladders with the model in training, every so many steps, and logs how it tells the best responses apart.

    Logged through the trainer, so also to TensorBoard, W&B and whatever else it reports to: `tail/accuracy`,
    `tail/gap`, `tail/tie_rate` and `tail/unscored_rate`. Training goes on as it would without: same weights, same log
    of its own. What stands in the way is an InputError when training begins; what fails later is a warning.

    The body computes as the trainer has it compute (autocast included), the head in float32, as with `rm/`.

    Args:
        ladders: what `tail_bench.load` gives, or takes.
        every_steps: score each time so many optimizer steps are done. The last step is scored too.
        tokenizer: by default the trainer's processing_class.
        template: a chat template's text, or `pair`; by default the tokenizer's own.
        max_length: in tokens; what is longer is unscored. By default what tokenizer and model allow.
        tail: which responses are the tail, as in `tail_bench.report`.
        min_margin: least difference of golds of a pair.
        batch_size: conversations in a batch.
        head: which of several outputs is the reward, by number or name.
        folder: where to keep a score file a step (`step-000050.jsonl`); None keeps none.
        at_start: score before the first step too.

    Attributes:
        judgments: {step: {ladder id: {response id: score or None}}}, what `tail_bench.report` takes.
    """

    def __init__(
        self,
        ladders: Dataset | Sequence[Ladder] | str | Path,
        every_steps: int,
        *,
        tokenizer: Any = None,
        template: str | None = None,
        max_length: int | None = None,
        tail: str | TailSpec | None = None,
        min_margin: float = 0.0,
        batch_size: int = 16,
        head: int | str | None = None,
        folder: str | Path | None = None,
        at_start: bool = True,
    ) -> None:
        for name, value in (("every_steps", every_steps), ("batch_size", batch_size), ("max_length", max_length)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(f"TailCallback: {name} must be a whole number of at least 1, is {value!r}")
        self.dataset = load_dataset(ladders) if isinstance(ladders, (str, Path)) else as_dataset(ladders)
        self.every_steps = every_steps
        self.tokenizer = tokenizer
        self.template = template
        self.max_length = max_length
        self.tail = resolve_tail(truths_of(self.dataset.ladders), tail, min_margin)
        self.min_margin = min_margin
        self.batch_size = batch_size
        self.head = head
        self.folder = Path(folder).expanduser() if folder is not None else None
        self.at_start = at_start
        self.judgments: dict[int, dict[str, dict[str, float | None]]] = {}
        self._rendered: dict[str, dict[str, Rendered | str]] = {}
        self._options = RewardOptions(head=head)
        self._head: int | None = None
        self._header: dict[str, Any] = {}
        self._last: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Render the ladders and score one response; InputError where that cannot be done."""
        if state.global_step == 0:
            self.judgments = {}  # of a training before
        self._last = None
        model, trainer = kwargs["model"], _running_trainer()
        try:
            config = _config(model)
            renderer = self._renderer(kwargs.get("processing_class"), config)
            self._head = head_of(_name(model), config, "sequence", self._options)
            self._rendered = {ladder.id: _render(ladder, renderer) for ladder in self.dataset.ladders}
            shortest = self._shortest()
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
        except (InputError, OSError) as error:
            # What -M sets for rm/ is an argument here.
            raise InputError(f"TailCallback: {str(error).replace('-M ', '')}") from error
        precision = trainer.accelerator.mixed_precision
        self._header = {
            "model": _name(model),
            "template_hash": renderer.template_hash,
            "max_length": renderer.max_length,
            "dtype": AUTOCAST.get(precision) or _dtype(model),
            "engine": "transformers",
            "activation": "none",
        }
        try:
            with _scoring(model, args.device) as loaded:
                rewards([shortest], loaded, self._options, self._head, None)
        except Exception as error:
            raise InputError(f"TailCallback: {_name(model)} cannot score: {first_line(error)}") from error

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The point before the first step: by now all callbacks, which it is logged to, have begun."""
        if self.at_start and state.global_step == 0 and self._last is None:
            self._point(args, state, control, kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A point every so many steps, and after the last."""
        if state.global_step % self.every_steps == 0 or control.should_training_stop:
            self._point(args, state, control, kwargs["model"])

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The last point of a training that was stopped early."""
        if control.should_training_stop and self._last != state.global_step:
            self._point(args, state, control, kwargs["model"])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The last point, if there was none yet and the weights are still those of the last step."""
        best_is_loaded = args.load_best_model_at_end and state.best_model_checkpoint is not None
        if self._last != state.global_step and not best_is_loaded:
            self._point(args, state, control, kwargs["model"])

    def _renderer(self, processing_class: Any, config: Any) -> Renderer:
        tokenizer = self.tokenizer if self.tokenizer is not None else processing_class
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # of a processor that reads images too
        if tokenizer is None:
            raise InputError("the trainer has no processing_class: give tokenizer=")
        return Renderer(tokenizer, self.template, self.max_length or least_stated(tokenizer, config))

    def _shortest(self) -> Rendered:
        """The shortest conversation; InputError where none can be rendered. What cannot be is told once, here."""
        found = [r for ladder in self._rendered.values() for r in ladder.values()]
        items = [r for r in found if isinstance(r, Rendered)]
        reasons = [r for r in found if isinstance(r, str)]
        if not items:
            raise InputError(listed("no response can be scored:", list(dict.fromkeys(reasons))))
        if reasons:
            logger.warning(f"TailCallback: {len(reasons):,} of {len(found):,} responses stay unscored: {reasons[0]}")
        return min(items, key=lambda item: len(item.ids))

    def _point(self, args: Any, state: Any, control: Any, model: Any) -> None:
        """Score, keep and log; a failure is a warning, since a training must not be lost to it."""
        self._last = state.global_step
        try:
            with _scoring(model, args.device) as loaded:
                judgments = self._judge(loaded)
            scores = {j.ladder: dict(j.scores or {}) for j in judgments}
            self.judgments[state.global_step] = scores
            found = report(self.dataset, scores, self.tail, self.min_margin, intervals=False)
            figures = {
                "tail/accuracy": found.regions["tail"].accuracy.value,
                "tail/gap": found.tail_gap.value,
                "tail/tie_rate": found.regions["tail"].tie_rate.value,
                "tail/unscored_rate": found.regions["all"].unscored_rate.value,
            }
            _log({name: value for name, value in figures.items() if value is not None}, control)
            if self.folder is not None and state.is_world_process_zero:
                path = self.folder / f"step-{state.global_step:06}.jsonl"
                write_scores(path, {**self._header, "step": state.global_step}, judgments)
        except Exception as error:
            why = first_line(error)
            logger.warning(f"the ladders are not scored at step {state.global_step}: {why}", exc_info=True)

    def _judge(self, loaded: Loaded) -> list[Judgment]:
        """A judgment a ladder. Each distinct conversation is scored once, with those of like length."""
        items = {r for ladder in self._rendered.values() for r in ladder.values() if isinstance(r, Rendered)}
        ordered = sorted(items, key=lambda item: (len(item.ids), item.ids))
        found: dict[Rendered | str, Reward] = {}

        def forward(batch: Sequence[Rendered]) -> list[float]:
            return rewards(batch, loaded, self._options, self._head, None)

        for start in range(0, len(ordered), self.batch_size):
            batch = ordered[start : start + self.batch_size]
            found.update(zip(batch, scored_in_halves(forward, batch), strict=True))
        judgments = []
        for ladder, rendered in self._rendered.items():
            own = {r: found[item] if isinstance(item, Rendered) else Reward(None, item) for r, item in rendered.items()}
            judgments.append(Judgment(ladder, **said(list(own), own)))
        return judgments


class _Forward:
    """A model as `rewards` calls it, with its configuration whatever it is wrapped in."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = _config(model)

    def __call__(self, **given: Any) -> Any:
        return self.model(**given)


@contextmanager
def _scoring(model: Any, device: Any) -> Iterator[Loaded]:
    """The model ready to score. Afterwards all is as it was: modes, configuration, head and random numbers."""
    config = _config(model).get_text_config()
    before = {name: getattr(config, name) for name in ("pad_token_id", "use_cache") if hasattr(config, name)}
    modes = [(module, module.training) for module in model.modules()]
    # Nothing should draw random numbers in evaluation, but code of a model's own might.
    with torch.random.fork_rng([device] if device.type == "cuda" else []), _head_in_float32(model, device):
        try:
            model.eval()
            config.use_cache = False
            yield Loaded(_Forward(model), "sequence", device, before.get("pad_token_id") is not None)
        finally:
            for module, mode in modes:
                module.training = mode
            for name, value in before.items():
                setattr(config, name, value)


@contextmanager
def _head_in_float32(model: Any, device: Any) -> Iterator[None]:
    """The head, all that is not the body, computes in float32: in bfloat16, also by autocast, rewards come in steps.

    A copy computes in its place, so that the optimizer's own parameters stay as they are.
    """
    base = _base(model)
    body = getattr(base, getattr(base, "base_model_prefix", ""), None)
    heads = [m for m in base.children() if m is not body] if body is not None and body is not base else []
    replaced = [(module, module.__dict__.get("forward")) for module in heads]
    try:
        for module in heads:
            module.forward = _float32_forward(copy.deepcopy(module).float().eval(), device)
        yield
    finally:
        for module, forward in replaced:
            module.__dict__.pop("forward", None)
            if forward is not None:
                module.forward = forward


def _float32_forward(module: Any, device: Any) -> Any:
    def wide(value: Any) -> Any:
        return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    def forward(*given: Any, **named: Any) -> Any:
        with torch.autocast(device.type, enabled=False):
            return module.forward(*map(wide, given), **{name: wide(value) for name, value in named.items()})

    return forward


def _render(ladder: Ladder, renderer: Renderer) -> dict[str, Rendered | str]:
    """Each response of a ladder as the model reads it, or why it cannot."""
    prompt = prompt_messages(ladder)
    found: dict[str, Rendered | str] = {}
    for response in ladder.responses:
        try:
            found[response.id] = renderer.render(prompt, candidate(response, "keep"))
        except Unrenderable as error:
            found[response.id] = str(error)
    return found


def _base(model: Any) -> Any:
    """The model of transformers in whatever it is wrapped in: for several devices, compiled, or with adapters."""
    from accelerate.utils import extract_model_from_parallel  # type: ignore[import-untyped]

    found = extract_model_from_parallel(model, keep_torch_compile=False)
    return found.get_base_model() if hasattr(found, "get_base_model") else found  # peft


def _config(model: Any) -> Any:
    base = _base(model)
    if type(base).__name__.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        raise InputError(f"{type(base).__name__} is a language model: it has no head whose output is a reward")
    if not hasattr(getattr(base, "config", None), "get_text_config"):
        raise InputError(f"{type(base).__name__} has no configuration of transformers (model.config)")
    return base.config


def _name(model: Any) -> str:
    base = _base(model)
    return str(getattr(base, "name_or_path", "") or type(base).__name__)


def _dtype(model: Any) -> str:
    return str(next(p.dtype for p in model.parameters() if p.is_floating_point())).removeprefix("torch.")


def _running_trainer() -> Any:
    """The trainer that is calling this callback.

    Callbacks are given no trainer. But only its log() reaches both log_history and all callbacks: what one callback
    adds to `logs` in on_log is seen by those after it alone, and TensorBoard's and W&B's are before. So that
    `callbacks=[...]` is all there is to write, the trainer is found where it certainly is: up the stack.
    """
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        found = frame.f_locals.get("self")
        if isinstance(found, transformers.Trainer):
            return found
    raise InputError("TailCallback: is called by no transformers.Trainer")


def _log(figures: dict[str, float], control: Any) -> None:
    trainer = _running_trainer()
    due = control.should_log
    # Not trainer.log: TRL's adds, and then forgets, its running means, which are for the log of the loss.
    transformers.Trainer.log(trainer, figures)
    control.should_log = due  # a log, which this was, is taken for that of the loss, which is still to come
