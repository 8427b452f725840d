"""What tail_judge costs over Inspect: CPU per call against a bare task that makes the same calls to the same server.

    python benchmarks/overhead.py [LADDERS]

The server is a loopback in a process of its own, so that its CPU does not count. Both tasks run in this process, by
turns; the ratio is of the medians, and must stay under 1.25.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
SERVER = """
import json, sys
sys.path.insert(0, ".")
from tests.loopback import Loopback, completion
tokens = [[("A", {"A": 0.6, "B": 0.38, "The": 0.01, "**": 0.005, "Response": 0.005})]]
print(Loopback(lambda request: completion("A", logprobs=tokens)).url, flush=True)
sys.stdin.read()
"""


def ladders(n: int) -> list[dict]:
    text = "A strong answer gives the reason and the number with its unit before it adds anything else. " * 12
    return [
        {
            "id": f"ladder-{i}",
            "prompt": f"Question {i}: {text[:300]}",
            "responses": [{"id": f"r{k}", "text": f"{k} of {i}. {text}", "gold": float(k)} for k in range(5)],
        }
        for i in range(n)
    ]


def bare_task(data: str):
    """The same samples and calls, with nothing of ours around them."""
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.solver import solver
    from inspect_ai.util import collect

    from tail_bench.graders.questions import messages_of
    from tail_bench.tasks import asking_of

    asking = asking_of("tail_judge", {"dataset": data})
    calls = {x.id: [messages_of(q, asking.preset) for q in asking.questions(x)] for x in asking.data.ladders}
    config = GenerateConfig(logprobs=True, top_logprobs=20, temperature=0.0, attempt_timeout=600)

    @solver
    def bare():
        async def solve(state, generate):
            model = get_model()
            await collect(*(model.generate(messages, config=config) for messages in calls[state.sample_id]))
            return state

        return solve

    samples = [Sample(id=x.id, input=str(x.prompt)) for x in asking.data.ladders]
    return Task(dataset=MemoryDataset(samples), solver=bare()), sum(map(len, calls.values()))


def main(n: int) -> None:
    from inspect_ai import eval
    from inspect_ai.model import get_model

    from tail_bench.tasks import tail_judge

    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as folder, server:
        url = server.stdout.readline().strip()
        data = Path(folder) / "data.jsonl"
        data.write_text("".join(json.dumps(r) + "\n" for r in ladders(n)), encoding="utf-8")

        def cpu(make) -> float:
            model = get_model("openai-api/loop/judge", base_url=url, api_key="none", memoize=False)
            task = make()
            start = time.process_time()
            (log,) = eval(task, model=model, log_dir=f"{folder}/logs", display="none")
            assert log.status == "success", log.error
            return time.process_time() - start

        _, calls = bare_task(str(data))
        makes = {"bare": lambda: bare_task(str(data))[0], "tail_judge": lambda: tail_judge(str(data))}
        for make in makes.values():  # imports and first connections
            cpu(make)
        times = {name: [] for name in makes}
        for _ in range(REPEATS):
            for name, make in makes.items():
                times[name].append(cpu(make))
        server.stdin.close()
    middle = {name: statistics.median(own) for name, own in times.items()}
    for name, own in middle.items():
        print(f"{name:10} {1000 * own / calls:6.2f} CPU ms a call ({calls:,} calls)")
    print(f"ratio      {middle['tail_judge'] / middle['bare']:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
