"""TailCallback in trainings that run: transformers' Trainer and TRL's RewardTrainer, on the CPU."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from functools import cache

import pytest
import torch
import transformers
import trl
from datasets import Dataset as Rows

import tail_bench
from tail_bench.errors import InputError
from tail_bench.graders.messages import candidate, prompt_messages
from tail_bench.judgments import read_scores
from tail_bench.ladders.load import Dataset, fingerprint
from tail_bench.ladders.schema import Ladder
from tail_bench.providers.local.rm import TransformersRewardModel
from tail_bench.providers.reward_model import ScoreRequest
from tail_bench.reporting import report_scores
from tests.helpers import write_jsonl
from tests.providers.local import models

WORDS = "the answer is more question".split()
FIGURES = {"tail/accuracy", "tail/gap", "tail/tie_rate", "tail/unscored_rate"}


def text(draw, *marks: str) -> str:
    """Words in any order, with the marks somewhere among them: all that tells good texts from bad."""
    words = [draw.choice(WORDS) for _ in range(12)] + list(marks)
    draw.shuffle(words)
    return " ".join(words)


def toy(number: int) -> dict:
    """Excellent has two marks, great one of them, good the other, poor none."""
    draw = random.Random(number)
    marks = {"excellent": ("because", "yes"), "great": ("yes",), "good": ("yes", "no"), "poor": ("no", "no")}
    return {
        "id": f"toy-{number}",
        "prompt": f"Question {number}?",
        "responses": [
            {"id": f"{tier}-{i}", "text": text(draw, *marks[tier]), "gold": float(4 - rank), "tier": tier}
            for rank, tier in enumerate(marks)
            for i in range(2 if rank < 2 else 1)
        ],
    }


LADDERS = [Ladder.model_validate(toy(n)) for n in range(12)]


def conversation(ladder: Ladder, response) -> list[dict[str, str]]:
    return [{"role": "user", "content": ladder.prompt}, {"role": "assistant", "content": response.text}]


@cache
def pairs() -> Rows:
    """Chosen and rejected conversations: every response with the one two places below it."""
    rows = []
    for ladder in (Ladder.model_validate(toy(n)) for n in range(100, 180)):
        for better, worse in zip(ladder.responses, ladder.responses[2:], strict=False):
            rows.append({"chosen": conversation(ladder, better), "rejected": conversation(ladder, worse)})
    return Rows.from_list(rows)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads on models this small mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained Llama with a reward head."""
    return models.llama(tmp_path_factory.mktemp("llama"), attention_dropout=0.1, initializer_range=0.02)


class BradleyTerry(transformers.Trainer):
    """The loss of a reward model on chosen and rejected."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        chosen, rejected = (model(**inputs[side]).logits[:, 0] for side in ("chosen", "rejected"))
        loss = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
        return (loss, chosen) if return_outputs else loss

    def evaluate(self, *args, **kwargs):
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, {})
        return {"eval_loss": 1.0}


def trained(folder, tmp_path, *callbacks, model=None, own=None, **arguments):
    """A training with transformers' Trainer; the trainer afterwards."""
    own = own or transformers.AutoTokenizer.from_pretrained(folder)
    model = model or transformers.AutoModelForSequenceClassification.from_pretrained(folder)

    def collated(rows):
        def side(name):
            texts = [own.apply_chat_template(row[name], tokenize=False) for row in rows]
            padded = {"padding": True, "padding_side": "right"} if own.pad_token else {}
            return own(texts, add_special_tokens=False, return_tensors="pt", **padded)

        return {name: side(name) for name in ("chosen", "rejected")}

    settings = {
        "max_steps": 6,
        "per_device_train_batch_size": 8,
        "learning_rate": 3e-3,
        "lr_scheduler_type": "constant",
        "logging_steps": 3,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        **arguments,
    }
    trainer = BradleyTerry(
        model=model,
        args=transformers.TrainingArguments(output_dir=str(tmp_path / "out"), **settings),
        train_dataset=pairs(),
        eval_dataset=pairs(),  # evaluate() does not look at it
        data_collator=collated,
        processing_class=own,
        callbacks=list(callbacks),
    )
    trainer.train()
    return trainer


def logged(trainer, name="tail/accuracy"):
    return {record["step"]: record[name] for record in trainer.state.log_history if name in record}


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


class Recorder(transformers.TrainerCallback):
    """What a callback such as TensorBoard's gets to see."""

    def __init__(self):
        self.seen = []

    def on_log(self, args, state, control, logs, **kwargs):
        self.seen.append((state.global_step, dict(logs)))

    def of_the_tail(self):
        return {step: logs["tail/accuracy"] for step, logs in self.seen if "tail/accuracy" in logs}


def test_a_training_with_transformers_learns_the_tail(folder, tmp_path):
    before, after = Recorder(), Recorder()
    callback = tail_bench.TailCallback(LADDERS, every_steps=10, folder=tmp_path / "kept")
    trainer = trained(folder, tmp_path, before, callback, after, max_steps=45)
    accuracy = logged(trainer)
    assert list(accuracy) == [0, 10, 20, 30, 40, 45]
    assert accuracy[0] < 0.75
    assert accuracy[45] > 0.9
    assert before.of_the_tail() == after.of_the_tail() == accuracy
    assert list(callback.judgments) == list(accuracy)
    for record in trainer.state.log_history:
        assert not FIGURES & record.keys() or record.keys() > FIGURES
    # What is logged is what a report on the kept file says, and on the kept judgments.
    dataset = Dataset("toy", None, LADDERS, fingerprint(LADDERS))
    for step, value in accuracy.items():
        file = read_scores(tmp_path / "kept" / f"step-{step:06}.jsonl")
        assert file.header["step"] == step
        assert {j.ladder: j.scores for j in file.judgments} == callback.judgments[step]
        assert report_scores(file, dataset).regions["tail"].accuracy.value == value
        assert tail_bench.report(LADDERS, callback.judgments[step]).regions["tail"].accuracy.value == value
    # Two steps compared pairwise: in which ladders is another response the best now?
    best = [
        {j.ladder: max(j.scores, key=j.scores.get) for j in read_scores(path).judgments}
        for path in sorted((tmp_path / "kept").iterdir())
    ]
    assert sum(best[0][ladder] != best[-1][ladder] for ladder in best[0]) > len(LADDERS) / 3
    assert all(name.startswith("excellent") for name in best[-1].values())


def test_a_training_with_trl_learns_the_tail_and_logs_as_it_would_without(folder, tmp_path):
    def run(*callbacks):
        trainer = trl.RewardTrainer(
            model=transformers.AutoModelForSequenceClassification.from_pretrained(folder),
            args=trl.RewardConfig(
                output_dir=str(tmp_path / "out"),
                max_steps=40,
                lr_scheduler_type="constant",
                per_device_train_batch_size=8,
                learning_rate=3e-3,
                logging_steps=7,
                report_to=[],
                save_strategy="no",
                use_cpu=True,
                bf16=False,
                disable_tqdm=True,
            ),
            train_dataset=pairs(),
            processing_class=transformers.AutoTokenizer.from_pretrained(folder),
            callbacks=list(callbacks),
        )
        trainer.train()
        return trainer

    trainer = run(tail_bench.TailCallback(LADDERS, every_steps=20))
    accuracy = logged(trainer)
    assert list(accuracy) == [0, 20, 40]
    assert accuracy[0] < 0.75
    assert accuracy[40] > 0.9
    # TRL's own means (margin, accuracy, rewards) are those of its own steps: log() of ours must not use them up.
    without = run()
    own = [r for r in trainer.state.log_history if "tail/accuracy" not in r]
    timings = {"train_runtime", "train_samples_per_second", "train_steps_per_second", "train_tokens_per_second"}
    for ours, theirs in zip(own, without.state.log_history, strict=True):
        assert {k: v for k, v in ours.items() if k not in timings} == {
            k: v for k, v in theirs.items() if k not in timings
        }
    assert all(torch.equal(ours, weights(without)[name]) for name, ours in weights(trainer).items())


@pytest.mark.parametrize("kind", ["llama", "bert", "checkpointed", "padless"])
def test_weights_are_bit_for_bit_those_of_a_training_without(kind, tmp_path):
    """Dropout is on in training, so a random number drawn in between would show."""
    if kind == "bert":
        folder = models.bert(tmp_path / "model", hidden_dropout_prob=0.2)
    else:
        folder = models.llama(tmp_path / "model", attention_dropout=0.2, pad=None if kind == "padless" else "<pad>")
    own = transformers.AutoTokenizer.from_pretrained(folder)
    own.chat_template = models.LLAMA_TEMPLATE
    size = {"per_device_train_batch_size": 1 if kind == "padless" else 8}

    def run(*callbacks):
        return trained(folder, tmp_path, *callbacks, own=own, gradient_checkpointing=kind == "checkpointed", **size)

    modes = []

    class Watch(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, model, **kwargs):
            config = model.config
            modes.append(([m.training for m in model.modules()], config.pad_token_id, config.use_cache, repr(model)))

    with_it = run(Watch(), tail_bench.TailCallback(LADDERS, every_steps=2, template=models.LLAMA_TEMPLATE), Watch())
    without = run()
    assert list(logged(with_it)) == [0, 2, 4, 6]
    assert modes[::2] == modes[1::2]
    assert all(modes[0][0])
    assert [r for r in with_it.state.log_history if "loss" in r] == [
        r for r in without.state.log_history if "loss" in r
    ]
    assert len(logged(with_it, "loss")) == 2
    ours, theirs = weights(with_it), weights(without)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert (with_it.model.config.pad_token_id is None) == (kind == "padless")
    for module in with_it.model.modules():
        assert "forward" not in module.__dict__ or module is with_it.model


def scored_by_rm(folder, **model_args) -> dict[str, dict[str, float]]:
    found = {}
    model = TransformersRewardModel(str(folder), device="cpu", **model_args)
    for ladder in LADDERS:
        request = ScoreRequest(prompt_messages(ladder), [candidate(r, "keep") for r in ladder.responses])
        rewards = asyncio.run(model.score(request))
        found[ladder.id] = {r.id: reward.value for r, reward in zip(ladder.responses, rewards, strict=True)}
    return found


def flat(scores) -> list[float]:
    return [score for ladder in scores.values() for score in ladder.values()]


@pytest.mark.parametrize(("kind", "dtype"), [("llama", "float32"), ("llama", "bfloat16"), ("bert", "float32")])
def test_scores_are_those_of_rm_on_the_saved_checkpoint(folder, tmp_path, kind, dtype):
    """Also where the head has dropout, as Bert's has."""
    folder = models.bert(tmp_path / "model", hidden_dropout_prob=0.5) if kind == "bert" else folder
    own = transformers.AutoTokenizer.from_pretrained(folder)
    own.chat_template = models.LLAMA_TEMPLATE
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=getattr(torch, dtype))
    callback = tail_bench.TailCallback(LADDERS, every_steps=4, batch_size=5, folder=tmp_path / "kept")
    trainer = trained(folder, tmp_path, callback, model=model, own=own)
    trainer.save_model(str(tmp_path / "saved"))
    theirs = scored_by_rm(tmp_path / "saved", batch_size=5)
    assert flat(callback.judgments[6]) == pytest.approx(flat(theirs), abs=1e-5 if dtype == "float32" else 0.05)
    header = read_scores(tmp_path / "kept" / "step-000006.jsonl").header
    assert header["dtype"] == dtype
    assert header["engine"] == "transformers"
    assert header["max_length"] == 4096
    assert {p.dtype for p in trainer.model.parameters()} == {getattr(torch, dtype)}
    assert on_a_grid(flat(callback.judgments[6])) < 0.2


def on_a_grid(scores) -> float:
    """The share of scores that bfloat16 can write: all of them if the head computed in it."""
    return sum(float(torch.tensor(score, dtype=torch.bfloat16)) == score for score in scores) / len(scores)


def test_under_autocast_the_head_still_computes_in_float32(folder, tmp_path):
    callback = tail_bench.TailCallback(LADDERS, every_steps=4, folder=tmp_path / "kept")
    trainer = trained(folder, tmp_path, callback, bf16=True)
    assert on_a_grid(flat(callback.judgments[6])) < 0.2
    assert read_scores(tmp_path / "kept" / "step-000006.jsonl").header["dtype"] == "bfloat16"
    trainer.save_model(str(tmp_path / "saved"))
    assert flat(callback.judgments[6]) == pytest.approx(flat(scored_by_rm(tmp_path / "saved")), abs=0.1)


class Caching(torch.nn.Module):
    """As modules that compute positions once, and again where a text is longer."""

    kept = torch.ones(0)

    def forward(self, states):
        if self.kept.numel() < states.shape[1]:
            self.kept = torch.ones(states.shape[1])
        return states * self.kept[: states.shape[1], None]


def test_what_a_model_keeps_from_scoring_can_still_be_trained_with(folder, tmp_path):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    model.model.norm = Caching()
    trainer = trained(folder, tmp_path, tail_bench.TailCallback(LADDERS, every_steps=3), model=model)
    assert list(logged(trainer)) == [0, 3, 6]


def test_a_point_at_the_start_and_the_end_once_each(folder, tmp_path):
    def points(every, **arguments):
        at_start = arguments.pop("at_start", True)
        callback = tail_bench.TailCallback(LADDERS, every_steps=every, at_start=at_start)
        history = trained(folder, tmp_path, callback, **arguments).state.log_history
        return [r["step"] for r in history if "tail/accuracy" in r]

    assert points(3) == [0, 3, 6]
    assert points(4, at_start=False) == [4, 6]
    assert points(100, gradient_accumulation_steps=2, max_steps=2) == [0, 2]
    assert points(100, max_steps=-1, num_train_epochs=0.1) == [0, 4]


class Stop(transformers.TrainerCallback):
    """Ends a training as EarlyStoppingCallback does."""

    def on_evaluate(self, args, state, control, **kwargs):
        control.should_training_stop = True


@pytest.mark.parametrize(("when", "best"), [("steps", False), ("epoch", False), ("epoch", True)])
def test_a_training_that_was_stopped_early_has_a_last_point(folder, tmp_path, when, best):
    """Unless the weights are by then those of another step."""
    stopped = {"eval_strategy": when, "eval_steps": 2, "max_steps": 12, "per_device_train_batch_size": 80}
    if best:
        stopped |= {"save_strategy": when, "load_best_model_at_end": True, "metric_for_best_model": "loss"}
    trainer = trained(folder, tmp_path, Stop(), tail_bench.TailCallback(LADDERS, every_steps=1000), **stopped)
    assert 0 < trainer.state.global_step < trainer.state.max_steps
    assert list(logged(trainer)) == ([0] if best else [0, trainer.state.global_step])
    if when == "steps":  # early enough: TensorBoard's callback and others end when training does
        assert "train_loss" in trainer.state.log_history[-1]


def test_a_second_training_and_one_gone_on_with(folder, tmp_path):
    callback = tail_bench.TailCallback(LADDERS, every_steps=2, folder=tmp_path / "kept")
    trainer = trained(folder, tmp_path, callback, max_steps=4, save_strategy="steps", save_steps=2)
    first = dict(callback.judgments)
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    assert callback.judgments == first
    assert [r["step"] for r in trainer.state.log_history if "tail/gap" in r] == [0, 2, 4]
    trainer.train()
    assert list(callback.judgments) == [0, 2, 4]
    assert callback.judgments[0] == first[4]


def test_what_cannot_be_scored_is_unscored_with_the_reason(folder, tmp_path, caplog):
    record = toy(1)
    record["responses"][0]["text"] += " more" * 600
    record["responses"].append({"id": "same", "text": record["responses"][1]["text"], "gold": 0.0, "tier": "poor"})
    ladders = [Ladder.model_validate(record), *LADDERS[2:]]
    callback = tail_bench.TailCallback(ladders, every_steps=3, max_length=300, folder=tmp_path)
    trainer = trained(folder, tmp_path, callback)
    assert "TailCallback: 1 of 67 responses stay unscored: longer than the model takes" in caplog.text
    scores = callback.judgments[6]["toy-1"]
    assert scores["excellent-0"] is None
    assert scores["same"] == scores["excellent-1"]
    file = read_scores(tmp_path / "step-000006.jsonl")
    assert "300 tokens" in file.judgments[0].reasons["excellent-0"]
    found = tail_bench.report(ladders, callback.judgments[6])
    assert logged(trainer, "tail/unscored_rate")[6] == found.regions["all"].unscored_rate.value > 0
    assert trainer.state.global_step == 6


class Diverge(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, model, **kwargs):
        with torch.no_grad():
            model.score.weight.fill_(float("nan"))


def test_training_goes_on_when_the_scores_are_no_numbers_or_scoring_fails(folder, tmp_path, caplog, monkeypatch):
    callback = tail_bench.TailCallback(LADDERS, every_steps=3, folder=tmp_path / "kept")
    trainer = trained(folder, tmp_path, Diverge(), callback)
    assert logged(trainer, "tail/unscored_rate") == {0: 0, 3: 1, 6: 1}
    assert set(flat(callback.judgments[6])) == {None}
    assert read_scores(tmp_path / "kept" / "step-000006.jsonl").judgments[0].reasons["great-0"] == "returned nan"

    real, sizes = sys.modules["tail_bench.callback"].rewards, []

    def failing(batch, *more):
        sizes.append(len(batch))
        if len(batch) > 4:
            raise RuntimeError("out of memory")
        return real(batch, *more)

    monkeypatch.setattr("tail_bench.callback.rewards", failing)
    callback = tail_bench.TailCallback(LADDERS, every_steps=6)
    assert logged(trained(folder, tmp_path, callback), "tail/unscored_rate") == {0: 0, 6: 0}
    assert {1, 16, 8, 4} <= set(sizes)

    def broken(*given):
        raise OSError("no space left")

    monkeypatch.setattr("tail_bench.callback.write_scores", broken)
    trainer = trained(folder, tmp_path, tail_bench.TailCallback(LADDERS, every_steps=6, folder=tmp_path / "kept"))
    assert trainer.state.global_step == 6
    assert "not scored at step 6: no space left" in caplog.text


def test_what_stands_in_the_way_is_said_before_the_first_step(folder, tmp_path):
    def began(said, callback=None, **arguments):
        steps = []

        class Count(transformers.TrainerCallback):
            def on_step_begin(self, args, state, control, **kwargs):
                steps.append(state.global_step)

        with pytest.raises(InputError, match=said) as error:
            trained(folder, tmp_path, Count(), callback or tail_bench.TailCallback(LADDERS, 5), **arguments)
        assert not steps
        assert "-M" not in str(error.value)

    plain = transformers.AutoTokenizer.from_pretrained(folder)
    plain.chat_template = None
    began("no chat template. Say how it was trained: template=FILE.jinja", own=plain)
    began("no response can be scored:\n  longer", tail_bench.TailCallback(LADDERS, 5, max_length=3))
    began("the chat template changes or leaves", tail_bench.TailCallback(LADDERS, 5, template="chat.jinja"))
    several = transformers.AutoModelForSequenceClassification.from_pretrained(
        models.llama(tmp_path / "several", labels=3)
    )
    began("gives 3 numbers .*say which is the reward, head=NUMBER", model=several)
    began("head=7: no such output; there is 0", tail_bench.TailCallback(LADDERS, 5, head=7), model=several)
    causal = transformers.AutoModelForCausalLM.from_pretrained(models.causal(tmp_path / "causal"))
    began("LlamaForCausalLM is a language model", model=causal)
    (tmp_path / "file").write_text("")
    began("File exists", tail_bench.TailCallback(LADDERS, 5, folder=tmp_path / "file"))
    narrow = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    narrow.score = torch.nn.Linear(7, 1)
    began("LlamaForSequenceClassification cannot score|llama.* cannot score: mat1", model=narrow)
    with pytest.raises(InputError, match="no transformers.Trainer"):
        tail_bench.TailCallback(LADDERS, 5).on_train_begin(None, transformers.TrainerState(), None, model=narrow)


def test_a_model_with_several_outputs_and_a_head_that_is_named(tmp_path):
    path = models.llama(tmp_path / "several", labels=3)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(path)
    callbacks = [tail_bench.TailCallback(LADDERS, 6, head=head) for head in (0, "LABEL_2")]
    trained(path, tmp_path, *callbacks, model=model)
    assert flat(callbacks[0].judgments[0]) == pytest.approx(flat(scored_by_rm(path, head=0)), abs=1e-5)
    assert flat(callbacks[1].judgments[0]) == pytest.approx(flat(scored_by_rm(path, head=2)), abs=1e-5)


def test_ladders_are_taken_as_load_takes_and_gives_them(tmp_path):
    path = write_jsonl(tmp_path / "toy.jsonl", [toy(n) for n in range(3)])
    for ladders in (path, str(path), LADDERS[:3], Dataset("toy", None, LADDERS[:3], fingerprint(LADDERS[:3]))):
        assert tail_bench.TailCallback(ladders, 5).dataset.fingerprint == fingerprint(LADDERS[:3])
    assert len(tail_bench.TailCallback("ladders", 5, tail="top_k:3").dataset.ladders) > 3
    for wrong in ({"every_steps": 0}, {"every_steps": 2.5}, {"every_steps": 5, "batch_size": 0}):
        with pytest.raises(InputError, match="must be a whole number of at least 1"):
            tail_bench.TailCallback(LADDERS, **wrong)
    with pytest.raises(InputError, match="tail"):
        tail_bench.TailCallback(LADDERS, 5, tail="threshold:9")
    with pytest.raises(InputError, match="no such file"):
        tail_bench.TailCallback(tmp_path / "none.jsonl", 5)


def test_importing_the_package_imports_no_torch():
    code = "import sys, tail_bench; print([n for n in ('torch', 'transformers', 'numpy') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
