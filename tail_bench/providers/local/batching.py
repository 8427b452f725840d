"""Batches across ladders: conversations of like length together, each distinct one once, from one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token

from tail_bench.errors import InputError
from tail_bench.providers.rendering import Rendered, first_line
from tail_bench.providers.reward_model import Reward, as_reward

Forward = Callable[[Sequence[Rendered]], Sequence[float]]
"""The rewards of a batch."""


class _Call:
    """Conversations of one ladder, and who waits for their rewards."""

    def __init__(self, items: Sequence[Rendered]) -> None:
        self.missing = set(items)
        self.rewards: dict[Rendered, Reward] = {}
        self.given_up = False
        self.done = anyio.Event()
        self.token = current_token()


class Batcher:
    """Scores conversations of all ladders that are in flight, in batches, in one thread.

    A batch is the conversation that waits longest with neighbours of it in length: little is padded, and none starves.
    A batch that fails (out of memory, say) is halved until it works or one conversation is to blame; that one alone is
    unscored. An exception of `prepare`, which runs before the first batch, and an InputError of `forward`, which holds
    for all batches, are raised in all calls.
    """

    def __init__(self, forward: Forward, batch_size: int, prepare: Callable[[], None]) -> None:
        self._forward = forward
        self._batch_size = batch_size
        self._prepare = prepare
        self._failure: Exception | None = None
        self._waiting: dict[Rendered, list[_Call]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    async def score(self, items: Sequence[Rendered]) -> list[Reward]:
        """The rewards of the conversations, in their order."""
        if not items:
            return []
        call = _Call(items)
        with self._changed:
            for item in call.missing:
                self._waiting.setdefault(item, []).append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tail_bench batches", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            await call.done.wait()
        except BaseException:
            call.given_up = True
            raise
        if self._failure is not None:
            raise self._failure
        return [call.rewards[item] for item in items]

    async def score_alone(self, items: Sequence[Rendered]) -> list[Reward]:
        """The same, each conversation apart from the others: in a batch by itself, or with those of other ladders."""
        found = {item: (await self.score([item]))[0] for item in dict.fromkeys(items)}
        return [found[item] for item in items]

    def _work(self) -> None:
        try:
            self._prepare()
        except Exception as error:
            self._failure = error
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                batch = self._take()
            rewards = [Reward(None)] * len(batch)
            if self._failure is None:
                try:
                    rewards = self._scored(batch)
                except InputError as error:
                    self._failure = error
            with self._changed:
                calls = [self._waiting.pop(item) for item in batch]
            for item, reward, waiting in zip(batch, rewards, calls, strict=True):
                for call in waiting:
                    call.rewards[item] = reward
                    call.missing.discard(item)
                    if not call.missing:
                        with suppress(RuntimeError):  # the event loop has ended: nobody waits
                            anyio.from_thread.run_sync(call.done.set, token=call.token)

    def _take(self) -> list[Rendered]:
        """The next batch; what nobody waits for any more is dropped."""
        for item in [i for i, calls in self._waiting.items() if all(c.given_up for c in calls)]:
            if len(self._waiting) > 1:
                del self._waiting[item]
        oldest = next(iter(self._waiting))
        by_length = sorted(self._waiting, key=lambda item: len(item.ids))
        place = by_length.index(oldest)
        size = min(self._batch_size, len(by_length))
        starts = range(max(0, place - size + 1), min(place, len(by_length) - size) + 1)
        return min((by_length[s : s + size] for s in starts), key=_padding)

    def _scored(self, batch: Sequence[Rendered]) -> list[Reward]:
        try:
            return [as_reward(value) for value in self._forward(batch)]
        except InputError:
            raise
        except Exception as error:
            if len(batch) > 1:
                half = len(batch) // 2
                return [*self._scored(batch[:half]), *self._scored(batch[half:])]
            return [Reward(None, f"the model failed on it: {first_line(error)}")]


def _padding(batch: Sequence[Rendered]) -> int:
    """Tokens that a batch in the order of length would be padded by."""
    return len(batch) * len(batch[-1].ids) - sum(len(item.ids) for item in batch)
