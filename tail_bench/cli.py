"""The command line: report, score, plan. Heavy imports wait until a command needs them, so that --help is quick."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from tail_bench.bulk.scoring import Scored
    from tail_bench.reporting import Report

FAILED = 1
BAD_INPUT = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tail-bench")
def main() -> None:
    """Does a grader tell excellent responses from merely great ones?

    Run one with `inspect eval tail_bench/tail_reward --model MODEL` (or tail_judge, tail_rubric), then
    `tail-bench report LOG`. For rewards of many responses, `tail-bench score` writes a score file without a run;
    `tail-bench report --scores FILE` reports on it, and on scores that you already have.
    """


@main.command()
@click.argument("logs", nargs=-1, type=click.Path())
@click.option("--scores", type=click.Path(), help="A score file (JSONL or Parquet) in place of logs.")
@click.option("--dataset", help="With --scores: the data set that was scored, `ladders` or a path.")
@click.option("--split", help="With --dataset: only the ladders of this split.")
@click.option("--gold", type=click.Path(), help="With --scores: a file of gold scores of the same responses.")
@click.option("--tail", help="tiers:excellent,great | top_k:2 | top_fraction:0.25 | threshold:4 | quantile:0.75")
@click.option("--min-margin", type=click.FloatRange(min=0), help="Least difference of golds of a pair.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object, or a list for a folder or several logs.")
def report(
    logs: tuple[str, ...],
    scores: str | None,
    dataset: str | None,
    split: str | None,
    gold: str | None,
    tail: str | None,
    min_margin: float | None,
    as_json: bool,
) -> None:
    """What a grader's judgments say about it, from Inspect LOGS (files or folders) or a score file.

    \b
    tail-bench report logs/
    tail-bench report logs/run.eval --tail top_k:3           # another tail, no model call
    tail-bench report --scores rewards.jsonl --dataset ladders
    tail-bench report --scores proxy.parquet --gold gold.parquet --tail top_fraction:0.1
    """
    with bad_input_exits():
        if scores is None:
            for name, value in (("--dataset", dataset), ("--gold", gold), ("--split", split)):
                if value is not None:
                    raise click.UsageError(f"{name} goes with --scores.")
            if not logs:
                raise click.UsageError("Give Inspect logs or folders, or --scores FILE.")
            reports = _log_reports(logs, tail, min_margin)
        else:
            if logs:
                raise click.UsageError("Give logs or --scores, not both.")
            if (dataset is None) == (gold is None):
                raise click.UsageError("--scores needs one of --dataset D and --gold FILE.")
            if gold is not None and split is not None:
                raise click.UsageError("--split goes with --dataset.")
            reports = [_score_report(scores, dataset, split, gold, tail, min_margin or 0.0)]
        several = scores is None and (len(logs) > 1 or _is_folder(logs[0]))
        _print(reports, as_json, several)


@main.command()
@click.option("--dataset", default="ladders", show_default=True, help="`ladders` (embedded) or a path.")
@click.option("--model", required=True, help="The reward model, as inspect eval takes it: rm-python/my_reward:score")
@click.option("--out", required=True, type=click.Path(), help="The score file to write: .jsonl or .parquet.")
@click.option("--model-base-url", help="Where a served model is.")
@click.option(
    "-M", "model_args", multiple=True, metavar="NAME=VALUE", help="The model's arguments, as for inspect eval."
)
@click.option("--split", help="Only the ladders of this split.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first ladders.")
@click.option(
    "--thinking",
    type=click.Choice(["keep", "strip"]),
    default="keep",
    show_default=True,
    help="What happens to reasoning in a response.",
)
@click.option("--truncate", is_flag=True, help="Cut a response that is too long; otherwise it is unscored.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order in which responses are shown.")
@click.option("--engine", help="http (served models) or local (all others); found from the model.")
@click.option("--max-connections", type=click.IntRange(min=1), help="Ladders in flight to a server.  [default: 32]")
@click.option(
    "--max-retries",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="How often a failed call is made again.",
)
def score(
    dataset: str,
    model: str,
    out: str,
    model_base_url: str | None,
    model_args: tuple[str, ...],
    split: str | None,
    limit: int | None,
    thinking: Literal["keep", "strip"],
    truncate: bool,
    seed: int,
    engine: str | None,
    max_connections: int | None,
    max_retries: int,
) -> None:
    """Rewards of a whole data set into a score file, without an Inspect run.

    A run that was cut off goes on where it stopped: give the same command again.

    \b
    tail-bench score --model rm-python/my_reward:score --out rewards.jsonl
    tail-bench report --scores rewards.jsonl --dataset ladders
    """
    with bad_input_exits():
        given = _named_values("-M", model_args)
        from pathlib import Path

        from tail_bench.bulk.engines import EngineSettings
        from tail_bench.bulk.scoring import ScoringSettings, ScoringStoppedError
        from tail_bench.bulk.scoring import score as score_file
        from tail_bench.errors import printable

        asked = EngineSettings(model, model_base_url, given, max_connections, max_retries)
        settings = ScoringSettings(dataset, split, limit, thinking, truncate, seed)
        try:
            done = score_file(engine, asked, settings, Path(out).expanduser())
        except ScoringStoppedError as error:
            click.echo(f"Error: {printable(str(error))}", err=True)
            sys.exit(FAILED)
        _say_scored(done, dataset, split)


@main.command()
@click.argument("task")
@click.option("--model", default="", help="The judge or verifier, as inspect eval takes it.  [required]")
@click.option("-T", "task_args", multiple=True, metavar="NAME=VALUE", help="The task's settings, as for inspect eval.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first ladders.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(task: str, model: str, task_args: tuple[str, ...], limit: int | None, as_json: bool) -> None:
    """Calls, tokens and price of a judge or a rubric's verifier, before anything is paid.

    \b
    tail-bench plan tail_judge --model openai/gpt-4o-mini -T mode=pointwise
    tail-bench plan tail_rubric --model litellm/anthropic/claude-haiku-4-5 -T votes=5
    """
    with bad_input_exits():
        given = _named_values("-T", task_args)
        from tail_bench.plan import plan as make_plan

        name = task.removeprefix("tail_bench/").removeprefix("tasks/").removesuffix(".py")
        if not model and name != "tail_reward":  # which needs none to be told that there is nothing to plan
            raise click.UsageError("Missing option '--model'.")
        found = make_plan(name, model, given, limit)
        if as_json:
            click.echo(found.model_dump_json(indent=2))
            return
        from rich.console import Console

        from tail_bench.render import render_plan

        Console().print(render_plan(found))


def _named_values(option: str, given: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE options, read as inspect eval reads them."""
    for one in given:
        if "=" not in one:
            raise click.UsageError(f"{option} {one}: must be NAME=VALUE.")
    from inspect_ai._util.config import parse_cli_args

    return parse_cli_args(given)


def _say_scored(done: Scored, dataset: str, split: str | None) -> None:
    """What was written and what to do with it; exit code 1 where no response at all has a score."""
    from shlex import join

    from tail_bench.errors import printable

    verb = "Already scored:" if done.already else "Wrote"
    resumed = f" ({done.resumed:,} ladders were there from before)" if done.resumed else ""
    command = ["tail-bench", "report", "--scores", str(done.path), "--dataset", dataset]
    command += ["--split", split] if split else []
    click.echo(
        f"{verb} {done.path}: {done.responses:,} responses of {done.ladders:,} ladder{'s' * (done.ladders != 1)},"
        f" {done.unscored:,} unscored"
        f"{resumed}.\nNext: {join(command)}"
    )
    if done.unscored == done.responses:
        reason, times = done.reasons.most_common(1)[0]
        click.echo(f"Error: no response has a score; {times:,} times: {printable(reason)}", err=True)
        sys.exit(FAILED)


def _is_folder(path: str) -> bool:
    from pathlib import Path

    return Path(path).is_dir()


def _log_reports(logs: tuple[str, ...], tail: str | None, min_margin: float | None) -> list[Report]:
    from tail_bench.errors import InputError, printable
    from tail_bench.logs import find_logs, report_log

    paths = find_logs(logs)
    if len(paths) == 1:
        return [report_log(paths[0], tail, min_margin)]
    reports, failures = [], []
    for path in paths:
        try:
            reports.append(report_log(path, tail, min_margin))
        except InputError as error:  # a folder may hold other tasks' logs
            failures.append(str(error))
            click.echo(f"left out: {printable(str(error))}", err=True)
    if not reports:
        raise InputError(f"none of {len(failures)} logs can be reported")
    return reports


def _score_report(
    scores: str, dataset: str | None, split: str | None, gold: str | None, tail: str | None, min_margin: float
) -> Report:
    from tail_bench.judgments import read_scores
    from tail_bench.ladders.load import load_dataset
    from tail_bench.reporting import report_gold, report_scores

    file = read_scores(scores)
    if gold is not None:
        return report_gold(file, read_scores(gold), tail, min_margin)
    assert dataset is not None
    return report_scores(file, load_dataset(dataset, split), tail, min_margin)


def _print(reports: list[Report], as_json: bool, several: bool) -> None:
    if as_json:
        documents = [r.to_json() for r in reports]
        click.echo("[" + ",\n".join(documents) + "]" if several else documents[0])
        return
    from rich.console import Console

    from tail_bench.render import render

    console = Console()
    # Where nobody watches (a pipe, a CI log) rich assumes 80 columns and would fold the table.
    console = console if console.is_terminal else Console(width=max(100, console.width))
    for report in reports:
        console.print(render(report))


@contextmanager
def bad_input_exits() -> Iterator[None]:
    """Bad input ends a command with its message on stderr and exit code 2."""
    from tail_bench.errors import InputError, printable

    try:
        yield
    except InputError as error:
        click.echo(f"Error: {printable(str(error))}", err=True)
        sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
