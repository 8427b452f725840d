"""Load a transformers model as its authors meant it, or say why not: no remote code, no pickle, no random head."""

from __future__ import annotations

import gc
import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from weakref import WeakSet

from tail_bench.errors import InputError
from tail_bench.providers.local.batching import free_memory
from tail_bench.providers.local.options import LoadOptions, RewardOptions
from tail_bench.providers.rendering import first_line, import_transformers

logger = logging.getLogger(__name__)

_loading = threading.Lock()
"""One model is loaded at a time: each in its own memory first, and without progress bars through Inspect's display."""

Kind = Literal["sequence", "token", "causal", "custom"]

CLASSES: dict[Kind, str] = {
    "sequence": "AutoModelForSequenceClassification",
    "token": "AutoModelForTokenClassification",
    "causal": "AutoModelForCausalLM",
    "custom": "AutoModel",
}


RIGHT_AND_WRONG = 2
"""Labels of a process reward model at each step; the second is "right"."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to score: on its device, in evaluation mode.

    pads: whether its configuration has a pad token, by which the last token of a conversation is found. own_class:
    whether its class comes as code with it, so that nothing is known of how it does so.
    """

    model: Any
    kind: Kind
    device: Any
    pads: bool
    own_class: bool = False


def import_torch() -> Any:
    """torch; InputError that names the extra where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise InputError("torch is not installed: pip install 'tail-bench[hf]'") from error
    return torch


def load_config(source: str, options: LoadOptions) -> Any:
    """The configuration of a folder or a hub id; InputError where there is none, or it needs code of its own."""
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").is_file()
        more = ": it holds an adapter; merge it into its base model first (peft: merge_and_unload)" if adapter else ""
        raise InputError(f"{source}: is no model folder, there is no config.json in it{more}")
    transformers = import_transformers()
    try:
        return transformers.AutoConfig.from_pretrained(
            source, revision=options.revision, trust_remote_code=options.trust_remote_code
        )
    except Exception as error:  # a folder of a stranger, and its code where that was asked for
        raise InputError(_why(source, error)) from error


def kind_of(source: str, config: Any, options: LoadOptions) -> Kind:
    """What kind of model a configuration describes; InputError where it is none that gives a reward as asked."""
    architecture = next(iter(config.architectures or []), "")
    token = options.token if isinstance(options, RewardOptions) else None
    if token is not None:
        return "causal"
    own_class = is_own_class(config)
    if own_class and not options.trust_remote_code:
        raise InputError(
            f"{source}: its class {architecture} comes as code with the model: -M trust_remote_code=true runs that,"
            " if you trust it"
        )
    if own_class:
        return next((kind for kind, name in CLASSES.items() if name in config.auto_map), "custom")
    known = hasattr(import_transformers(), architecture)
    if known and architecture.endswith("ForSequenceClassification"):
        return "sequence"
    if known and architecture.endswith("ForTokenClassification"):
        return "token"
    if isinstance(options, RewardOptions) and options.new_head:
        return "sequence"
    if architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        raise InputError(
            f"{source}: is a language model ({architecture}): as a reward model its head would be random. Where the"
            " logit of a token is the reward, say -M output=token_logit:ID; DPO's implicit reward is"
            " rm-dpo/POLICY -M ref=REFERENCE; a language model that judges is for tail_judge"
        )
    raise InputError(
        f"{source}: its architecture is {architecture or 'not stated'}, which transformers does not load as a sequence"
        " or token classifier. A model with a head class of its own needs its code: -M trust_remote_code=true if it"
        " ships some and you trust it, else a function of yours, rm-python/MODULE:CALLABLE"
    )


def labels_of(config: Any) -> list[str]:
    """The names of a classifier's outputs."""
    names = getattr(config, "id2label", None) or {}
    return [str(names[i]) for i in sorted(names)]


def head_of(source: str, config: Any, kind: Kind, options: RewardOptions) -> int | None:
    """Which of several outputs is the reward, None where there is one; InputError where that is not clear.

    What a class of the model's own gives is seen only when it has given it.
    """
    labels = labels_of(config)
    n = len(labels)
    if options.head is None:
        known = kind in ("sequence", "token") and options.output == "logits" and not is_own_class(config)
        if known and n > 1 and not (options.step_token is not None and n == RIGHT_AND_WRONG):
            raise InputError(
                f"{source}: gives {n} numbers ({', '.join(labels[:8])}{', ...' if n > 8 else ''}): say which is the"
                " reward, -M head=NUMBER (from 0) or head=NAME"
            )
        return None
    if isinstance(options.head, str) and options.head in labels:
        return labels.index(options.head)
    if isinstance(options.head, int) and options.head >= 0 and (options.head < n or is_own_class(config)):
        return options.head
    there = ", ".join(f"{i} ({label})" for i, label in enumerate(labels))
    raise InputError(f"{source}: -M head={options.head}: no such output; there is {there}")


def is_own_class(config: Any) -> bool:
    """Whether the model's class comes as code with it."""
    architecture = next(iter(config.architectures or []), "")
    return bool(getattr(config, "auto_map", None)) and not hasattr(import_transformers(), architecture)


def check_weights(source: str) -> None:
    """InputError where a folder has no safetensors weights."""
    folder = Path(source)
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickled = [p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
    if pickled:
        raise InputError(
            f"{source}: its weights are pickled ({pickled[0]}), which can run any code when read. Convert them once,"
            " where you trust them: load with transformers and save_pretrained(..., safe_serialization=True)"
        )
    raise InputError(f"{source}: has no weights (model.safetensors) in it")


def device_of(asked: str | None) -> Any:
    """The device to run on; `auto` stays as it is (spread over the GPUs)."""
    torch = import_torch()
    if asked == "auto":
        return "auto"
    if asked is None:
        asked = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise InputError(f"-M device={asked}: {first_line(error)}; there is {', '.join(there)}") from error
    return device


class NoRoomError(InputError):
    """There is too little memory for a model."""


class Holder(Protocol):
    """What holds a model in memory: a provider."""

    def idle(self) -> bool:
        """Whether nobody waits for its rewards."""
        ...

    def release(self) -> None:
        """Give back the model's memory; where it is asked again, it loads the model anew."""
        ...


_holders: WeakSet[Any] = WeakSet()


def load(holder: Holder, source: str, config: Any, kind: Kind, options: LoadOptions) -> Loaded:
    """The model with its weights, its head in float32; InputError where some of them would be made at random.

    Where there is too little memory, models of earlier runs that are not at work are let go: Inspect keeps every model
    of a process, also those whose tasks are done.
    """
    with _loading:
        return _load_in_turn(holder, source, config, kind, options)


def _load_in_turn(holder: Holder, source: str, config: Any, kind: Kind, options: LoadOptions) -> Loaded:
    loaded = None
    try:
        loaded = _load(source, config, kind, options)
    except NoRoomError:
        idle = [other for other in list(_holders) if other is not holder and other.idle()]
        if not idle:
            raise
        for other in idle:
            other.release()
            _holders.discard(other)
    if loaded is None:  # out of the except block: the exception holds what was loaded so far
        gc.collect()  # modules refer to one another
        free_memory()
        loaded = _load(source, config, kind, options)
    _holders.add(holder)
    return loaded


def _load(source: str, config: Any, kind: Kind, options: LoadOptions) -> Loaded:
    torch, transformers = import_torch(), import_transformers()
    check_weights(source)
    device = device_of(options.device)
    dtype = options.dtype if options.dtype == "auto" else getattr(torch, options.dtype)
    torch.manual_seed(0)  # a head that is new on purpose
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()  # they would run through Inspect's display
    logger.info(f"loading {source}")
    try:
        model, info = getattr(transformers, CLASSES[kind]).from_pretrained(
            source,
            config=config,
            revision=options.revision,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            device_map="auto" if device == "auto" else None,
        )
    except Exception as error:  # a folder of a stranger: safetensors', torch's and its code's own errors
        raise InputError(_why(source, error)) from error
    finally:
        if bars:
            transformers.utils.logging.enable_progress_bar()
    new = sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])})
    if new and not (isinstance(options, RewardOptions) and options.new_head):
        raise InputError(
            f"{source}: {len(new)} of its weights are not in its files and would be random ({', '.join(new[:3])}): its"
            " head is missing, or of another name. A head that is random on purpose needs -M new_head=true"
        )
    model.eval()
    if any(p.is_meta for p in model.parameters()):
        raise NoRoomError(
            f"{source}: does not fit on the GPUs, so that some of it would be left on the disk: take a smaller dtype or"
            " more GPUs, or let a server have it (rm-server/)"
        )
    try:
        if device == "auto":
            device = model.get_input_embeddings().weight.device
        elif getattr(model, "quantization_method", None) is None:  # a quantised model is where it is
            model.to(device)
    except torch.OutOfMemoryError as error:
        raise NoRoomError(f"{source}: too large for {device}: {first_line(error)}") from error
    except RuntimeError as error:
        raise InputError(f"{source}: cannot be put on {device}: {first_line(error)}") from error
    settings = model.config.get_text_config()
    settings.use_cache = False
    own_class = is_own_class(config)
    if isinstance(options, RewardOptions) and options.token is not None:
        _keep_one_logit(model, options.token, source)
    elif kind in ("sequence", "token") and not own_class:
        _head_in_float32(model)
    pads = settings.pad_token_id is not None and 0 <= settings.pad_token_id < settings.vocab_size
    return Loaded(model, kind, device, pads, own_class)


def _head_in_float32(model: Any) -> None:
    """The head, all that is not the body, in float32: in bfloat16 rewards of 16 to 32 come in steps of 0.125."""
    body = getattr(model, getattr(model, "base_model_prefix", ""), None)
    if body is None or body is model:
        return
    for module in model.children():
        if module is not body:
            module.float()
            module.register_forward_pre_hook(_in_float32)


def _in_float32(module: Any, given: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(g.float() if hasattr(g, "is_floating_point") and g.is_floating_point() else g for g in given)


def _keep_one_logit(model: Any, token: int, source: str) -> None:
    """Only the logit that is the reward is computed, in float32; the others would need more memory than the model."""
    torch = import_torch()
    old = model.get_output_embeddings()
    if not 0 <= token < old.weight.shape[0]:
        raise InputError(f"{source}: -M output=token_logit:{token}: its vocabulary has {old.weight.shape[0]:,} tokens")
    new = torch.nn.Linear(old.weight.shape[1], 1, bias=old.bias is not None, device=old.weight.device)
    with torch.no_grad():
        new.weight.copy_(old.weight[token : token + 1].float())
        if old.bias is not None:
            new.bias.copy_(old.bias[token : token + 1].float())
    model.set_output_embeddings(new)
    new.register_forward_pre_hook(_in_float32)


def facts_of(loaded: Loaded, options: LoadOptions) -> dict[str, Any]:
    """What a report says of a loaded model."""
    torch, transformers = import_torch(), import_transformers()
    return {
        "engine": "transformers",
        "engine_version": f"{transformers.__version__}, torch {torch.__version__}",
        "revision": options.revision,
        "architecture": type(loaded.model).__name__,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "head_dtype": "float32" if not loaded.own_class else str(loaded.model.dtype).removeprefix("torch."),
        "device": str(loaded.device),
        "attention": getattr(loaded.model.config, "_attn_implementation", None),
    }


def folder_stamp(source: str) -> str:
    """What changes when the files of a model's folder do: their names, sizes and times. Empty for a hub id."""
    folder = Path(source)
    files = sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else []
    stats = [(str(f.relative_to(folder)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return json.dumps(stats)


def _why(source: str, error: BaseException) -> str:
    said = first_line(error)
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        said = "it needs code that comes with it: -M trust_remote_code=true runs that, if you trust it"
    elif "use_safetensors" in str(error) or "named model.safetensors" in str(error):
        said = "it has no safetensors weights, and pickled ones are not read, since that can run any code"
    return f"{source}: cannot be loaded: {said}"
