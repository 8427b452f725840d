"""Batches: each distinct conversation once, like lengths together, one failure nulls one, and nobody waits for ever."""

import asyncio
import gc
import threading
import time
import weakref

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tail_bench.errors import InputError
from tail_bench.providers.local.batching import Batcher
from tail_bench.providers.rendering import Rendered


def item(*ids):
    return Rendered(None, None, ids)


class Model:
    """Its reward is the sum of the ids. `broken` ids fail, and each batch of more than `most` conversations."""

    def __init__(self, broken=(), most=1000):
        self.batches = []
        self.broken = set(broken)
        self.most = most

    def __call__(self, batch):
        self.batches.append([len(i.ids) for i in batch])
        if len(batch) > self.most:
            raise RuntimeError("out of memory")
        if any(self.broken & set(i.ids) for i in batch):
            raise ValueError("cannot")
        return [float(sum(i.ids)) for i in batch]

    @property
    def seen(self):
        return sum(map(len, self.batches))


def batcher(model, size=4, prepare=lambda: None):
    return Batcher(model, size, prepare)


async def all_of(own, ladders):
    return await asyncio.gather(*(own.score(items) for items in ladders))


ladders = st.lists(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=7), max_size=8)


@given(ladders, st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_every_ladder_gets_its_own_rewards_in_its_order(asked, size):
    model = Model()
    items = [[item(*ids) for ids in ladder] for ladder in asked]
    found = asyncio.run(all_of(batcher(model, size), items))
    assert [[r.value for r in own] for own in found] == [[float(sum(ids)) for ids in ladder] for ladder in asked]
    assert model.seen <= sum(len(set(map(tuple, ladder))) for ladder in asked)
    assert all(len(b) <= size for b in model.batches)


def test_each_distinct_conversation_once():
    model = Model()
    twice = [item(1, 2), item(3), item(1, 2)]
    # All three ladders wait while the model is loaded.
    found = asyncio.run(all_of(batcher(model, 8, lambda: time.sleep(0.2)), [twice] * 3))
    assert [[r.value for r in own] for own in found] == [[3.0, 3.0, 3.0]] * 3
    assert model.seen == 2


def test_like_lengths_together():
    """100 ladders of one long and six short responses: a batch of all lengths would be padding mostly."""
    model = Model()
    asked = [[item(*([n] * (100 if k == 0 else 5 + k)), k) for k in range(7)] for n in range(100)]
    asyncio.run(all_of(batcher(model, 16), asked))
    padded = sum(len(b) * max(b) for b in model.batches)
    assert padded < 1.25 * sum(map(sum, model.batches))


def test_one_that_fails_nulls_itself_alone():
    model = Model(broken=[9])
    ((*others, own),) = asyncio.run(all_of(batcher(model), [[item(1), item(2), item(3), item(9)]]))
    assert [r.value for r in others] == [1.0, 2.0, 3.0]
    assert own.value is None
    assert own.reason == "the model failed on it: cannot"


def test_a_batch_that_is_too_large_is_halved():
    model = Model(most=2)
    (found,) = asyncio.run(all_of(batcher(model, 16), [[item(n) for n in range(9)]]))
    assert [r.value for r in found] == [float(n) for n in range(9)]


def test_a_model_that_cannot_be_loaded_ends_every_call():
    def prepare():
        raise InputError("no weights")

    own = batcher(Model(), prepare=prepare)
    for _ in range(2):
        with pytest.raises(InputError, match="no weights"):
            asyncio.run(own.score([item(1)]))


def test_an_output_of_another_form_ends_every_call():
    def forward(batch):
        raise InputError("say which")

    with pytest.raises(InputError, match="say which"):
        asyncio.run(batcher(forward).score([item(1), item(2)]))


def test_who_gives_up_does_not_hold_up_others():
    model = Model()
    own = batcher(model, 1)

    async def scenario():
        with anyio.move_on_after(0):
            await own.score([item(n, n) for n in range(1, 500)])
        return await own.score([item(7)])

    (reward,) = asyncio.run(scenario())
    assert reward.value == 7.0
    assert model.seen < 100
    assert not own._waiting


def test_a_second_run_of_the_event_loop():
    own = batcher(Model())
    assert [asyncio.run(own.score([item(n)]))[0].value for n in (1, 2)] == [1.0, 2.0]


def test_a_pass_that_failed_is_let_go_before_the_next():
    """Or it would hold the memory that was too little."""
    alive = []

    class Tensor:
        pass

    def forward(batch):
        alive.append(sum(w() is not None for w in passes))
        kept = Tensor()
        passes.append(weakref.ref(kept))
        if len(batch) > 1:
            raise RuntimeError("out of memory")
        return [1.0 for _ in batch if kept]

    passes = []
    asyncio.run(batcher(forward, 16).score([item(n) for n in range(16)]))
    assert set(alive) == {0}


def test_code_that_exits_ends_every_call():
    def forward(batch):
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        asyncio.run(batcher(forward).score([item(1)]))


def test_the_thread_ends_and_keeps_nothing_alive():
    own = batcher(Model())
    asyncio.run(own.score([item(1)]))
    gone = weakref.ref(own)
    del own
    for _ in range(100):
        gc.collect()
        if gone() is None:
            break
        time.sleep(0.01)
    assert gone() is None


def test_a_caller_whose_loop_has_stopped_holds_nobody_up():
    started, go = threading.Event(), threading.Event()

    def forward(batch):
        started.set()
        go.wait(10)
        return [1.0] * len(batch)

    own = batcher(forward)
    loop = asyncio.new_event_loop()
    task = loop.create_task(own.score([item(1)]))
    loop.run_until_complete(asyncio.sleep(0.01))
    started.wait(10)
    go.set()
    assert asyncio.run(asyncio.wait_for(own.score([item(2)]), 10))[0].value == 1.0
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
