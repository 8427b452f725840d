"""A report for people: the table in the terminal and what it means in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tail_bench.errors import printable
from tail_bench.figure_record import FigureRecord
from tail_bench.reporting import Report
from tail_bench.sections import CriterionRecord

if TYPE_CHECKING:
    from tail_bench.plan import Plan

REGIONS_IN_WORDS = "tail: both responses are in the tail; cross: one of them; body: neither"

CRITERIA = 5
"""How many of a rubric's criteria are shown."""

FEW = 5
"""Ladders below which nothing is said of a figure in words: an interval from so few is none to rely on."""

SOME = 0.1
"""Share of the tail pairs from which ties or unscored pairs are put into words."""


def render(report: Report) -> RenderableType:
    """The report as rich renders it. Everything from files goes in as plain text, never as markup."""
    data = report.dataset
    version = f" {data.version}" if data.version else ""
    margin = f", min_margin {data.min_margin:g}" if data.min_margin else ""
    title = Text.assemble((_line(report.grader.name), "bold"), " on ", (_line(f"{data.name}{version}"), "bold"))
    facts = Text(
        f"{data.n_judged:,} of {data.n_ladders:,} ladders judged ({data.n_responses:,} responses);"
        f" the tail is {data.tail}{margin}; fingerprint {_line(data.fingerprint)[:12]}",
        style="dim",
    )
    parts: list[RenderableType] = [
        Text(),
        title,
        facts,
        Text(),
        _table(report),
        Text(REGIONS_IN_WORDS, style="dim"),
        Text(),
        in_words(report),
    ]
    if data.n_without_pairs:
        why = "equal golds or tiers, or all closer than min_margin"
        parts.append(Text(f"{data.n_without_pairs} ladders have no pair at all ({why}).", style="dim"))
    parts += _conduct(report)
    parts += _unscored(report)
    parts += [Text(f"Warning: {_line(warning)}", style="yellow") for warning in report.warnings]
    parts.append(Text())
    return Group(*parts)


def render_plan(plan: Plan) -> RenderableType:
    """A plan as rich renders it."""
    price = "no listed price" if plan.usd is None else f"about ${plan.usd:,.2f}" if plan.usd >= 0.01 else "under $0.01"
    votes = f" x {plan.votes} votes" if plan.votes > 1 else ""
    lines = [
        f"{plan.task} with {_line(plan.model)}: ladders {plan.ladders:,}, questions {plan.questions:,}{votes} ="
        f" {plan.calls:,} calls"
        + (f" ({plan.calls_at_least:,} where a call gives all votes)" if plan.votes > 1 else ""),
        f"about {plan.input_tokens:,} tokens in, {plan.output_tokens:,} out (assumed): {price}",
        f"longest question: about {plan.longest_question:,} tokens"
        + (f" of a context of {plan.context:,}" if plan.context else ""),
    ]
    parts = [Text(line) for line in lines]
    if plan.too_long:
        names = ", ".join(_line(i) for i in plan.too_long[:5]) + (", ..." if len(plan.too_long) > 5 else "")
        more = f"{len(plan.too_long):,} ladders do not fit the context and will be unscored: {names}"
        parts.append(Text(more, style="yellow"))
    return Group(*parts)


def _line(text: str) -> str:
    """A stranger's text on one line, without what could steer the terminal."""
    return printable(" ".join(text.split()))


def _table(report: Report) -> Table:
    # Fits 80 columns: rich would fold or drop what does not fit.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("region", no_wrap=True)
    for name in (
        "accuracy",
        "95 % interval",
        "strict",
        "ties",
        "unscored",
        "overconf.",
        "ladders",
        "pairs",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for name, region in report.regions.items():
        accuracy = region.accuracy
        table.add_row(
            name,
            two(accuracy.value),
            _interval(accuracy),
            two(region.strict_accuracy.value),
            two(region.tie_rate.value),
            two(region.unscored_rate.value),
            signed(region.calibration.fitted.overconfidence.value),
            f"{accuracy.n_ladders:,}",
            f"{accuracy.n_pairs:,}",
            style="bold" if name == "tail" else "",
        )
    return table


def _interval(figure: FigureRecord, value: str = "{:.2f} to {:.2f}") -> str:
    if figure.ci_low is None or figure.ci_high is None:
        return "-"
    return value.format(figure.ci_low, figure.ci_high)


def two(value: float | None) -> str:
    """Two decimals: the third is noise of the bootstrap."""
    return "-" if value is None else f"{value:.2f}"


def signed(value: float | None) -> str:
    """Two decimals with a sign."""
    return "-" if value is None else f"{round(value, 2) + 0.0:+.2f}"


def in_words(report: Report) -> Text:
    """What the figures mean, in words; it claims no more than the intervals allow."""
    tail = report.regions["tail"]
    value, low, high = tail.accuracy.value, tail.accuracy.ci_low, tail.accuracy.ci_high
    ties, unscored = tail.tie_rate.value, tail.unscored_rate.value or 0.0
    if value is None:
        return Text(f"Nothing can be said of the tail: {tail.accuracy.reason}.")
    if ties is None:
        return Text("No tail pair is scored, so nothing can be said of the tail; why is said below.")
    share = f"its accuracy is {two(value)} (a coin has 0.50)"
    if ties == 1:
        said = "In the tail this grader ties every pair it scores: a policy trained on it sees no difference there."
    elif low is None or high is None:
        said = f"In the tail {share}, without an interval ({tail.accuracy.reason})."
    elif tail.accuracy.n_ladders < FEW:
        said = f"In the tail {share}, on {tail.accuracy.n_ladders} ladders: too few to say more."
    elif low > 0.5:
        said = f"In the tail this grader tells better from worse: {share}, and the interval excludes chance."
    elif high >= 0.5:
        said = f"In the tail {tail.accuracy.n_ladders:,} ladders cannot tell this grader from a coin: {share}, and the"
        said += " interval includes chance."
    elif unscored < SOME:
        said = f"In the tail this grader prefers the worse response: {share}, and the interval excludes chance."
    else:
        said = f"In the tail this grader is worse than a coin: {share}, and the interval excludes chance."
    parts = [said]
    if unscored >= SOME:
        parts.append(f"{100 * unscored:.0f} % of its tail pairs are unscored and count as wrong.")
    if SOME <= ties < 1:
        parts.append(f"It ties {100 * ties:.0f} % of the tail pairs it scores: there a policy gets no gradient.")
    return Text(" ".join([*parts, *_gap(report)]))


def _gap(report: Report) -> list[str]:
    gap = report.tail_gap
    if gap.value is None or gap.ci_low is None or gap.ci_high is None or gap.n_ladders < FEW:
        return []
    if gap.against == "body":
        name, other = "Tail gap (body - tail)", "below it"
    else:
        name, other = "Gap to the cross pairs, for want of a body (cross - tail)", "across its edge"
    what = f"{name}: {signed(gap.value)} ({_interval(gap, '{:+.2f} to {:+.2f}')})"
    if gap.ci_low > 0:
        return [f"{what}: it is worse in the tail than {other}."]
    if gap.ci_high < 0:
        return [f"{what}: it is better in the tail than {other}."]
    return [f"{what}: no clear difference between the tail and {other}."]


def _conduct(report: Report) -> list[RenderableType]:
    """How a judge or a verifier went about it."""
    lines: list[str] = []
    native = report.regions["tail"].calibration.native
    if native is not None and native.overconfidence.value is not None:
        lines.append(
            f"Overconfidence of its own probabilities in the tail: {with_interval(native.overconfidence, True)}."
        )
    position = report.bias.position if report.bias else None
    if position is not None and position.first_rate.value is not None:
        lines.append(
            f"Position: the first shown wins {with_interval(position.first_rate)} (0.50 is fair); judged alike in both"
            f" orders {with_interval(position.position_consistency)}."
        )
    if report.rubric is not None:
        rubric = report.rubric
        lines.append(
            f"Criteria in the tail: met {with_interval(rubric.pass_rate)}; the same answer for all"
            f" {with_interval(rubric.saturated)}; better less worse {with_interval(rubric.discrimination, True)};"
            f" unanswered {two(rubric.unanswered_rate.value)}."
        )
    verdicts = report.verdicts
    if verdicts is not None:
        mass = f", {two(verdicts.mass.value)} of the probability on verdicts" if verdicts.mass.value is not None else ""
        names = {"logprobs": "log-probabilities", "votes": "the verdict as written", "mixed": "both"}
        sources = ", ".join(f"{n:,} from {names[source]}" for source, n in verdicts.p_source.items())
        unread = f"{verdicts.unread:,} unread or missing"
        lines.append(f"Replies: {verdicts.replies:,}, {unread}{mass}. Answers: {sources or 'none'}.")
    lines += _scoring(report)
    injected = report.injection
    if injected is not None and injected.followed.value is None:
        lines.append(
            f"Planted verdicts ({injected.n_planted:,} ladders): nothing can be said ({injected.followed.reason})."
        )
    elif injected is not None:
        lines.append(
            f"Planted verdicts ({injected.n_planted:,} ladders): the response with one is preferred to better ones"
            f" {with_interval(injected.preferred)}, its equals without {with_interval(injected.control)}; followed"
            f" {with_interval(injected.followed, True)}."
        )
    cost = report.cost
    if cost is not None and cost.input_tokens + cost.output_tokens:
        price = "price unknown" if cost.usd is None else f"${cost.usd:,.4f}"
        each = cost.per_1000["usd"]
        per = "" if each is None else f"; ${each:,.4f} per 1,000 comparisons"
        stopped = any(reason.startswith("stopped by a limit") for reason in report.unscored.reasons)
        uncounted = " (without those of the ladders that a limit stopped)" if stopped else ""
        tokens = f"{cost.input_tokens:,} tokens in, {cost.output_tokens:,} out"
        lines.append(f"Cost: {cost.calls:,} calls{uncounted}, {tokens}, {price}{per}.")
    parts: list[RenderableType] = [Text(line) for line in lines]
    if report.rubric is not None:
        parts += [Text(), _criteria(report.rubric.criteria)]
    if verdicts is not None and verdicts.examples:
        parts.append(Text("Replies that could not be read, or did not come:", style="red"))
        rows = [
            f"{_line(e['about'])} of {_line(e['ladder'])}: {_line(e['reply'] or e['reason'])!r}"
            for e in verdicts.examples
        ]
        parts.append(Padding(Text("\n".join(rows)), (0, 0, 0, 2)))
    return parts


HOW = {
    "engine": "{}",
    "dtype": "in {}",
    "device": "on {}",
    "output": "output {}",
    "head": "head {}",
    "norm": "norm {}",
    "reference": "reference {}",
    "template_hash": "template {}",
    "max_length": "at most {} tokens",
    "activation": "activation {}",
    "parity": "{}",
}
"""Facts of how scores were computed that are shown, and in which words."""


NOTHING_SAID = (None, "none", "none by design", "logits")
"""Values that go without saying."""


def _scoring(report: Report) -> list[str]:
    """How a reward model's scores were computed, and what the arithmetic does to them."""
    scoring, about = report.scoring, report.grader.model_extra or {}
    if scoring is None:
        return []
    lines = []
    if about.get("engine"):
        known = {name: about[name] for name in HOW if about.get(name) not in NOTHING_SAID}
        said = [HOW[name].format(_line(str(value))[:200]) for name, value in known.items()]
        cut = f"{scoring.truncated:,} response{'s' * (scoring.truncated != 1)}"
        lines.append(f"Scored by {', '.join(said)}; {cut} cut to fit.")
    flips = scoring.repeat_flip_rate
    if flips.value is not None and scoring.score_resolution is not None:
        twice = f"{flips.n_ladders:,} ladder{'s' * (flips.n_ladders != 1)}"
        lines.append(
            f"Smallest step between two scores of a ladder: {scoring.score_resolution:.3g}; scored a second time in"
            f" other batches ({twice}), {two(flips.value)} of the pairs come out otherwise."
        )
    return lines


def _criteria(criteria: Sequence[CriterionRecord]) -> RenderableType:
    """The criteria that tell the tail's responses apart least: those to rewrite first."""
    shown = sorted(criteria, key=lambda c: (c.discrimination is None, c.discrimination or 0.0))[:CRITERIA]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("met", "better - worse", "weight"):
        table.add_column(name, justify="right", no_wrap=True)
    more = f" (of {len(criteria):,}; --json has all)" if len(criteria) > len(shown) else ""
    table.add_column(f"criteria that tell the tail apart least{more}")
    for c in shown:
        table.add_row(two(c.pass_rate), signed(c.discrimination), f"{c.weight:g}", Text(_line(c.criterion)))
    return table


def with_interval(figure: FigureRecord, sign: bool = False) -> str:
    """A figure with its interval in brackets."""
    value = signed(figure.value) if sign else two(figure.value)
    if figure.ci_low is None or figure.ci_high is None:
        return value
    return f"{value} ({_interval(figure, '{:+.2f} to {:+.2f}' if sign else '{:.2f} to {:.2f}')})"


def _unscored(report: Report) -> list[RenderableType]:
    unscored = report.unscored
    if not unscored.count:
        return [Text(f"All {unscored.of:,} {unscored.unit} were scored.", style="dim")]
    rows = [f"{n:,} x {_line(reason)}" for reason, n in list(unscored.reasons.items())[:5]]
    if len(unscored.reasons) > 5:
        rows.append(f"and {len(unscored.reasons) - 5} more reasons (--json has all)")
    rows.append("first: " + ", ".join(_line(f"{e['ladder']} / {e['response']}") for e in unscored.first))
    title = f"{unscored.count:,} of {unscored.of:,} {unscored.unit} are unscored; their pairs count as wrong:"
    return [Text(title, style="red"), Padding(Text("\n".join(rows)), (0, 0, 0, 2))]
