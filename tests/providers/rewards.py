"""Reward functions as users write them, sound and broken, for rm-python."""

import asyncio
import math
import sys
import threading
import time

import numpy as np

calls = []
"""(function, arguments) of every call, for the tests to look at."""


def conversations(conversations):
    calls.append(("conversations", conversations))
    return [float(len(c[-1]["content"])) for c in conversations]


def trl(prompts, completions, ground_truth, **columns):
    calls.append(("trl", prompts, completions, ground_truth, columns))
    return [float(c.count(t)) for c, t in zip(completions, ground_truth, strict=True)]


async def trl_async(completions, **kwargs):
    await asyncio.sleep(0)
    return [np.float32(len(c)) for c in completions]


def trl_conversational(prompts, completions):
    return [float(len(c[0]["content"])) for c in completions]


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    calls.append(("verl", data_source, solution_str, ground_truth, extra_info))
    return {"score": 1.0 if ground_truth in solution_str else 0.0, "note": "exact"}


def verl_plain(solution_str, ground_truth, data_source):
    return ground_truth in solution_str


class Scorer:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, conversations):
        return np.array([self.factor * len(c[-1]["content"]) for c in conversations])

    def bound(self, conversations):
        return self(conversations).tolist()


scorer = Scorer(2)


def by_content(conversations):
    """Fails in the way that the response says."""
    found = []
    for c in conversations:
        text = c[-1]["content"]
        if "raise" in text:
            raise RuntimeError("cannot score [bold]this[/bold]")
        found.append({"nan": math.nan, "none": None, "text": "0.5", "inf": math.inf, "list": [1.0]}.get(text, 1.5))
    return found


def too_few(conversations):
    return [1.0] * (len(conversations) - 1) if len(conversations) > 1 else [float(len(conversations[0][-1]["content"]))]


def a_number(conversations):
    return 3.0


def nothing(conversations):
    return None


def slow(conversations):
    time.sleep(0.05)
    return [1.0] * len(conversations)


def hangs_on_2(conversations):
    if conversations[0][0]["content"] == "Question 2?":
        time.sleep(1000)
    return [1.0] * len(conversations)


def trl_lists_ids(prompts, completions, completion_ids):
    return [float(len(c)) for c in completions]


def trl_reads_ids(completion_ids, **kwargs):
    return [float(len(ids)) for ids in completion_ids]


def trl_mutates(prompts, completions, tags):
    for prompt, tag in zip(prompts, tags, strict=True):
        prompt.append("seen")
        tag.append("seen")
    return [float(len(p) + len(t)) for p, t in zip(prompts, tags, strict=True)]


def verl_mutates(data_source, solution_str, ground_truth, extra_info):
    return float(extra_info.pop("x"))


def no_arguments():
    return []


def keyword_only(*, conversations):
    return [1.0] * len(conversations)


def verl_batched(data_sources, solution_strs, ground_truths, extra_infos):
    return [1.0] * len(solution_strs)


def verl_positional(data_source, solution_str, ground_truth, extra_info, /):
    return 1.0


def group_rank(conversations):
    """Relative to the group, as some rewards are: alone, every response is the best."""
    if len(conversations) > 1 and conversations[0][0]["content"] == "Question 1?":
        raise RuntimeError("out of memory")
    lengths = [len(c[-1]["content"]) for c in conversations]
    return [float(sorted(lengths).index(own)) for own in lengths]


def exits(conversations):
    sys.exit("no GPU")


def same_thread(conversations):
    calls.append(threading.get_ident())
    return [1.0] * len(conversations)


not_callable = 3


def trl_counted(completions, **columns):
    calls.append(("trl_counted", completions))
    return [float(len(str(c))) for c in completions]
