"""Tiny models with random weights, built as the real ones are: tokenizer, chat template, configuration, safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start|>' + message['role'] + '<|end|>\n\n' + message['content'] | trim + '<|eot|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}"
)

# As Qwen3's: what stands before </think> in an assistant's text is taken for its reasoning.
QWEN_TEMPLATE = """\
{%- for message in messages %}
{%- set content = message.content %}
{%- if message.role == 'assistant' %}
{%- set reasoning = message.reasoning_content if message.reasoning_content is defined else '' %}
{%- if '</think>' in content %}
{%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<|start|>assistant\\n<think>\\n' + reasoning + '\\n</think>\\n\\n' + content + '<|eot|>\\n' }}
{%- else %}
{{- '<|start|>' + message.role + '\\n' + content + '<|eot|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start|>assistant\\n' }}{%- endif %}
"""

SPECIAL = ["<pad>", "<s>", "<unk>", "[CLS]", "[SEP]", "<|start|>", "<|end|>", "<|eot|>", "<extra_0>"]


def tokenizer(template: str | None, *, pad: str | None = "<pad>", pair: bool = False):
    """A byte-level tokenizer. Called without add_special_tokens=False it adds <s>, as Llama's does."""
    base = Tokenizer(models.BPE(unk_token=None))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    base.train_from_iterator(
        ["the answer is more question " * 3],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    cls, sep, bos = (base.token_to_id(t) for t in ("[CLS]", "[SEP]", "<s>"))
    if pair:
        base.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
        )
    else:
        base.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=base,
        bos_token="<s>",
        eos_token="[SEP]" if pair else "<|eot|>",
        unk_token="<unk>",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=4096,
        **({"pad_token": pad} if pad else {}),
    )
    if template is not None:
        found.chat_template = template
    return found


def small(own, **more):
    """Settings of a tiny transformer over a tokenizer."""
    return {
        "vocab_size": len(own),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 4096,
        "pad_token_id": own.pad_token_id,
        "bos_token_id": own.bos_token_id,
        "eos_token_id": own.eos_token_id,
        **more,
    }


def saved(model, own, folder: Path, dtype=torch.float32) -> str:
    model.to(dtype).save_pretrained(folder)
    own.save_pretrained(folder)
    return str(folder)


def spread(model):
    """Random weights as wide apart as a trained head's, so that responses differ clearly."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def llama(folder: Path, *, labels: int = 1, pad: str | None = "<pad>", template: str | None = LLAMA_TEMPLATE, **more):
    own = tokenizer(template, pad=pad)
    config = transformers.LlamaConfig(**small(own, num_labels=labels, num_key_value_heads=2, **more))
    return saved(spread(transformers.LlamaForSequenceClassification(config)), own, folder)


def qwen(folder: Path, **more):
    own = tokenizer(QWEN_TEMPLATE)
    config = transformers.Qwen3Config(**small(own, num_labels=1, num_key_value_heads=2, head_dim=8, **more))
    return saved(spread(transformers.Qwen3ForSequenceClassification(config)), own, folder)


def modernbert(folder: Path, template: str | None = LLAMA_TEMPLATE, **more):
    own = tokenizer(template, pair=True)
    config = transformers.ModernBertConfig(
        **small(own, num_labels=1, cls_token_id=own.cls_token_id, sep_token_id=own.sep_token_id, **more)
    )
    return saved(spread(transformers.ModernBertForSequenceClassification(config)), own, folder)


def bert(folder: Path, **more):
    own = tokenizer(None, pair=True)
    config = transformers.BertConfig(**small(own, num_labels=1, **more))
    return saved(spread(transformers.BertForSequenceClassification(config)), own, folder)


def process(folder: Path, labels: int = 2):
    """A process reward model: labels for each token."""
    own = tokenizer(LLAMA_TEMPLATE)
    config = transformers.Qwen2Config(**small(own, num_labels=labels, num_key_value_heads=2))
    return saved(spread(transformers.Qwen2ForTokenClassification(config)), own, folder)


def causal(folder: Path, seed: int = 0, tied: bool = False, template: str = LLAMA_TEMPLATE):
    own = tokenizer(template)
    config = transformers.LlamaConfig(**small(own, num_key_value_heads=2, tie_word_embeddings=tied))
    model = spread(transformers.LlamaForCausalLM(config))
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.lm_head.weight, std=0.3)
    return saved(model, own, folder)


def edit_config(folder: str, **changes):
    path = Path(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
