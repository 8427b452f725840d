"""What starting costs: `tail-bench --help` and `import tail_bench`, against Python alone and `import inspect_ai`.

    python benchmarks/startup.py

The least of seven starts each, in seconds of wall clock.
"""

import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import tail_bench": ["-c", "import tail_bench"],
    "tail-bench --help": ["-m", "tail_bench.cli", "--help"],
    "import inspect_ai": ["-c", "import inspect_ai"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    for name, arguments in COMMANDS.items():
        print(f"{name:18} {min(seconds(arguments) for _ in range(7)):.3f} s")
