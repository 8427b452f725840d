"""From a model's reply to what it says: a label and its probability, a ranking, or yes and no by criterion.

The last verdict counts, since a reply may reason first and name what it then rejects. A reply that does not say is
unread; nothing here guesses.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

from inspect_ai.model import Logprob

from tail_bench.graders.presets import Preset

LEAST_MASS = 0.5
"""Of the probability at the verdict's token, how much must lie on verdicts for it to be used."""

MOST_UNCLEAR = 0.05
"""Of it, how much may lie on tokens that could begin two labels, as 1 begins 1 and 10."""

MOST_READ = 100_000
"""Characters of a reply that are read, from its end: a pattern must not take minutes on a model that never stopped."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a model: its text, whether it was cut off, its log-probabilities where had; or why there is none.

    refused: the server would not serve the request as it was (400 and the like).
    """

    text: str = ""
    cut_off: bool = False
    logprobs: Sequence[Logprob] | None = None
    error: str | None = None
    refused: bool = False


class Reading(NamedTuple):
    """What a reply says: values (None: it does not say), the probability mass on verdicts at its token (None: no
    log-probabilities), and whether the value is from them."""

    values: tuple[float | None, ...] | None
    mass: float | None = None
    by_logprobs: bool = False


UNREAD = Reading(None)


class Found(NamedTuple):
    """A verdict in a text: its label and where that starts."""

    label: str
    start: int


# Never closed, it was cut off: then there is no verdict yet. Never opened, it began in the prompt. In quotes the tag is
# only spoken of.
_THINKING = re.compile(
    r"(?<![\"'`“])<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|\A(?:(?!<think).)*?(?<![\"'`“])</think(?:ing)?>", re.DOTALL
)

# A clause that leads to a verdict of one's own, as "So my final verdict is:".
_LEADS = re.compile(
    r"(?:\A|[.,;!?。，]|\b(?:but|and))\W{0,8}(?:(?:so|thus|therefore|hence|my|the|own|final|overall)\W{1,4}){0,5}"
    r"(?:verdict|answer|decision|choice|winner|judge?ment|conclusion|score|rating|grade|ranking|order|overall|final|total)"
    r"(?:\s{1,4}(?:is|remains)\b|\W{0,4}:)\W{0,6}\Z",
    re.IGNORECASE,
)
_REJECTED = re.compile(r"(?:\b(?:not|than|over|instead of|nicht|не)|n['’]t)[^\w:]{1,4}\Z", re.IGNORECASE)
_IF = re.compile(
    r"[^\w\n.,!?;。，]{0,4}(?:(?:if|when|wenn|falls|si|если|means|indicates)\b|如果|若|表示)", re.IGNORECASE
)
_THEN = re.compile(r"(?:\b(?:if|wenn|falls|если)\b|如果|若)[^\n.!?;。<]{0,40}\Z", re.IGNORECASE)
_OR = re.compile(r"[\W_]*(?:(?:or|nor|and|vs|versus|oder|und|ou|et|o|u|y|e|или|и|或|或者|和)\b)?[\W_]*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;。！？；\n]")
_ITEM = re.compile(r"[^\w\n]*\w+(?:[ \t]+\w+){0,4}[^\w\n]*:[^\w\n]*")  # "Clarity: [[8]]"
_TAKEN_BACK = re.compile(
    r"(?:\A|[.!?。\n—])\W{0,4}(?:(?:wait|actually|hmm|hold on|on reflection)\b|on second thoughts?\b|correction[:,])",
    re.IGNORECASE,
)


class _Match(NamedTuple):
    """A match of a preset's patterns: its group and label (without case and spaces), whether it is in the first
    pattern's form, and its line before and after it."""

    found: re.Match[str]
    group: int
    label: str
    asked: bool
    before: str
    after: str


def last_verdict(text: str, preset: Preset, cut_off: bool = False) -> Found | None:
    """The last match of the preset's patterns outside of thought, with the first of its groups that took part.

    None where there is none that the judge gives as its own (_spoken_of), or it may not be what it decided: it is
    _disputed, taken back or rejected behind it, or in a reply that was cut off, unless it begins with it.
    """
    said = _THINKING.sub(lambda thought: " " * len(thought[0]), text)  # blanked, not cut out: places stay
    blank = len(said) - len(said.lstrip())
    said = said[blank:]
    matches = _matches(said, preset)
    how = [_spoken_of(m) if m.asked else None for m in matches]
    own = [m for m, named in zip(matches, how, strict=True) if named is None]
    if not own:
        return None
    last, rest = own[-1], said[own[-1].found.end() :]
    for match, named in zip(reversed(matches), reversed(how), strict=True):
        if match is last:
            break
        if named == "on a condition" or (named == "rejected" and match.label == last.label):
            return None
    if (cut_off and last.found.start() > 0) or _TAKEN_BACK.search(rest) or _disputed(own, said, rest):
        return None
    return Found(last.found[last.group], blank + last.found.start(last.group))


def _matches(said: str, preset: Preset) -> list[_Match]:
    asked = re.compile(preset.verdict[0]).groups
    matches = []
    for found in preset.pattern.finditer(said, max(0, len(said) - MOST_READ)):
        group = next((g for g, there in enumerate(found.groups(), 1) if there is not None), None)
        if group is None:  # the label's group is optional and took no part
            continue
        label = "".join(found[group].split()).casefold()
        before = said[max(0, found.start() - 300) : found.start()].rpartition("\n")[2]
        after = said[found.end() : found.end() + 300].partition("\n")[0]
        matches.append(_Match(found, group, label, group <= asked, before, after))
    return matches


def _spoken_of(match: _Match) -> Literal["rejected", "on a condition", "quoted"] | None:
    """How a verdict is spoken of without being given: "not [[B]]", "[[B]] if B is better", or quoted in a sentence."""
    before, after = match.before, match.after
    if _REJECTED.search(before[-20:]):
        return "rejected"
    if _IF.match(after) or (_THEN.search(before) and not _LEADS.search(before)):
        return "on a condition"
    quoted = (
        any(before.count(q) % 2 and q in after for q in '"`')
        or any(before.rfind(q[0]) > before.rfind(q[1]) and q[1] in after for q in ("“”", "„“", "«»", "‘’", "「」"))
        or (before.endswith("'") and after.startswith("'"))
    )
    alone = re.search(r"\w", before + after) is None
    if before.lstrip().startswith(">") or (quoted and not alone and not _LEADS.search(before)):
        return "quoted"
    return None


def _disputed(matches: Sequence[_Match], said: str, rest: str) -> bool:
    """Whether other verdicts make the last one doubtful.

    Those in the first pattern's form, which the prompt asks for, may change from one sentence to the next. Not within
    one, as the names of the choice or of what is compared, nor as the heads of items, as scores for aspects. A last one
    in another form must not be contradicted, and contradicts another form only at the reply's end.
    """
    last = matches[-1]
    others = [m for m in matches if m.label != last.label]
    if not others:
        return False
    if not last.asked or (any(not m.asked for m in others) and re.search(r"\w", rest)):
        return True
    leads = _LEADS.search(last.before) is not None
    if re.search(r"\w", last.after) and not leads:
        return True
    previous = matches[-2]
    if previous.label == last.label:
        return False
    between = said[previous.found.end() : last.found.start()]
    return (
        _OR.fullmatch(between) is not None
        or not (leads or _SENTENCE_END.search(between))
        or (not leads and all(_ITEM.fullmatch(m.before) for m in (previous, last)))
    )


def read_label(reply: Reply, preset: Preset) -> Reading:
    """A label's worth: expected over the probabilities at the verdict's token, else that of the label written."""
    found = last_verdict(reply.text, preset, reply.cut_off)
    value = None if found is None or _may_go_on(found, reply, preset) else _worth(found.label, preset)
    tokens = _usable(reply.logprobs)
    if not tokens:
        return UNREAD if value is None else Reading((value,))
    if found is None or value is None:
        # A judge that does not answer in the form shows in the mass at its first token.
        at = next((i for i, text in enumerate(_texts(tokens)) if text.strip()), 0)
        return Reading(None, None if preset.reasoning else sum(_labels_at(tokens[at], preset).values()))
    at_verdict = _verdict_token(tokens, found, reply, preset)
    if at_verdict is None or not _usable(tokens[at_verdict : at_verdict + 1]):
        return Reading((value,))
    probability = _labels_at(tokens[at_verdict], preset)
    mass = sum(probability.values())
    unclear = _share_prefixes(probability, tokens[at_verdict : at_verdict + 2], preset)
    if mass < LEAST_MASS or unclear > MOST_UNCLEAR * mass:
        return Reading((value,), mass)
    expected = sum(p * preset.labels[label] for label, p in probability.items()) / sum(probability.values())
    return Reading((expected,), mass, True)


def _may_go_on(found: Found, reply: Reply, preset: Preset) -> bool:
    """Whether a reply was cut off in its label: a 1 that may be a 10."""
    longer = any(y != found.label and y.startswith(found.label) for y in preset.labels)
    return reply.cut_off and longer and reply.text[found.start :].rstrip() == found.label


def _worth(label: str, preset: Preset) -> float | None:
    value = preset.labels.get(label.casefold())
    if value is not None or preset.scale is None:
        return value
    try:  # a judge may say 7.5
        number = float(label)
    except ValueError:
        return None
    return number if preset.scale[0] <= number <= preset.scale[1] else None


def _usable(tokens: Sequence[Logprob] | None) -> Sequence[Logprob]:
    """The tokens, if they come with rivals: of the drawn token's probability alone nothing follows for the others'."""
    return tokens if tokens and any(len(t.top_logprobs or ()) > 1 for t in tokens) else ()


def _texts(tokens: Sequence[Logprob]) -> list[str]:
    return [_plain(t.token) for t in tokens]


def _plain(token: str) -> str:
    # Some providers give the raw vocabulary, where a space and a line's end are drawn as letters.
    return token.replace("\u0120", " ").replace("\u010a", "\n").replace("\u2581", " ")


def _core(token: str) -> str:
    """A token without what may be around a label: spaces, brackets, stars, points."""
    return re.sub(r"[\W_]", "", _plain(token)).casefold()


def _verdict_token(tokens: Sequence[Logprob], found: Found, reply: Reply, preset: Preset) -> int | None:
    """The token that the verdict's label starts in, if it is that label's or its beginning; None where it cannot be
    told."""
    texts = _texts(tokens)
    again = last_verdict("".join(texts), preset, reply.cut_off)
    if again is None or again.label != found.label or found.label.casefold() not in preset.labels:
        return None
    at, end = 0, len(texts[0])
    while end <= again.start and at + 1 < len(texts):
        at += 1
        end += len(texts[at])
    own = _core(texts[at])
    return at if own and found.label.casefold().startswith(own) else None


def _labels_at(token: Logprob, preset: Preset) -> dict[str, float]:
    """Label -> probability at a token, summed over the tokens that are the label but for what is around it."""
    found: dict[str, float] = {}
    for core, probability in _rivals(token):
        if core in preset.labels:
            found[core] = found.get(core, 0.0) + probability
    return found


def _rivals(token: Logprob) -> list[tuple[str, float]]:
    # The drawn token may be among its rivals, perhaps raw where they are decoded.
    every = {_plain(t.token): t.logprob for t in (token, *(token.top_logprobs or ()))}
    return [(_core(text), math.exp(min(0.0, p))) for text, p in every.items() if not math.isnan(p)]


def _share_prefixes(probability: dict[str, float], tokens: Sequence[Logprob], preset: Preset) -> float:
    """Share out, in place, the probability of labels that begin another, where tokens are digits: 1 begins 10.

    If that token was the one drawn, the next one's probabilities say how to share. Otherwise it cannot be known and is
    taken out; returned is how much that was.
    """
    unclear = 0.0
    for label in [x for x in probability if any(y != x and y.startswith(x) for y in preset.labels)]:
        longer = [y for y in preset.labels if y != label and y.startswith(label)]
        if any(y in probability for y in longer):  # here the longer label is a token of its own
            continue
        own = probability[label]
        if _core(tokens[0].token) != label:
            unclear += probability.pop(label)
        elif len(tokens) > 1:
            after = _rivals(tokens[1])
            for y in longer:
                probability[y] = own * sum(p for core, p in after if core == y[len(label) :])
                probability[label] -= probability[y]
    return unclear


def read_ranking(reply: Reply, preset: Preset, k: int) -> Reading:
    """The ranks, 1 the best, of k responses as shown; None for those that the reply leaves out.

    Unread where a number is none of the k, comes twice, or is the only one.
    """
    found = last_verdict(reply.text, preset, reply.cut_off)
    if found is None or (reply.cut_off and reply.text.endswith(found.label)):  # more may have come
        return UNREAD
    if preset.order == "scores":
        from scipy.stats import rankdata

        scores = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", found.label)]
        return Reading(tuple(map(float, rankdata([-s for s in scores])))) if len(scores) == k else UNREAD
    if {">", ","} <= set(found.label):  # "3 > 1, 2": below 1, or its equal?
        return UNREAD
    groups = [group.split("=") for group in re.split("[>,]", found.label)]
    named = [re.fullmatch(r"[\W_]*([^\d\W_]{0,12})[\W_]*(\d{1,4})[\W_]*", name) for group in groups for name in group]
    # One word for all, as in "Response 3 > Response 1"; the first one alone may say that it is the worst.
    if len(named) < 2 or None in named or len({name[1].casefold() for name in named if name}) > 1:
        return UNREAD
    numbers = iter(int(name[2]) for name in named if name)
    ranks: list[float | None] = [None] * k
    place = 0
    for group in groups:
        middle = place + (len(group) + 1) / 2  # equal ones share the mean of their places
        for number in islice(numbers, len(group)):
            if not 1 <= number <= k or ranks[number - 1] is not None:
                return UNREAD
            ranks[number - 1] = middle
        place += len(group)
    return Reading(tuple(ranks))


_YES_NO = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0, "met": 1.0, "unmet": 0.0, "not met": 0.0}


def read_criteria(reply: Reply, n: int) -> Reading:
    """Yes (1) or no (0) for each of n criteria from the last JSON object that speaks of any; None for the others.

    Unread where that may not be the answer: it stands within a sentence, an earlier one differs and words follow, or
    the reply was cut off and does not begin with it.
    """
    text = _THINKING.sub("", reply.text)[-MOST_READ:]
    decoder = json.JSONDecoder(object_pairs_hook=_without_contradictions)
    answers: list[tuple[float | None, ...]] = []
    begin = end = at = 0
    while start := _JSON.search(text, at):
        try:
            found, at = decoder.raw_decode(text, start.start())
            own = _answers(found, n)
        except ValueError:
            at = start.start() + 1
            continue
        except RecursionError:  # nested a thousand deep, which is no answer and takes long to see from every level
            return UNREAD
        if any(v is not None for v in own) and not _within_a_sentence(text, start.start(), at):
            answers.append(own)
            begin, end = start.start(), at
    if not answers or (len(set(answers)) > 1 and re.search(r"\w", text[end:])):
        return UNREAD
    if reply.cut_off and not re.fullmatch(r"\W*(?:json)?\W*", text[:begin]):
        return UNREAD
    return Reading(answers[-1])


_JSON = re.compile(r'\{\s*"|\[\s*\{\s*"')


def _without_contradictions(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for key, value in pairs:
        own[key] = value if own.get(key, value) == value else None
    return own


def _within_a_sentence(text: str, begin: int, end: int) -> bool:
    before = text[:begin].rpartition("\n")[2].rstrip(" \t*\"'`")
    after = text[end:].partition("\n")[0]
    return re.search(r"\w", before) is not None and (before[-1] not in ":：" or re.search(r"\w", after) is not None)


def _answers(found: Any, n: int) -> tuple[float | None, ...]:
    """The answers in a JSON value: {"1": "yes"}, [{"criterion": 1, "met": true}], or either one level down."""
    if isinstance(found, Mapping):
        said = [(str(key), value) for key, value in found.items()]
        if len(said) == 1 and isinstance(said[0][1], Mapping | list) and not _NUMBER.fullmatch(said[0][0]):
            return _answers(said[0][1], n)
    elif isinstance(found, list) and all(isinstance(item, Mapping) for item in found):
        said = [
            (next((str(item[key]) for key in ("criterion", "number", "id") if key in item), ""), item) for item in found
        ]
    else:
        said = []
    answers: dict[int, set[float | None]] = {}
    for key, value in said:
        if number := _NUMBER.fullmatch(key):
            answers.setdefault(int(number[1]), set()).add(_yes_no(value))
    if 0 in answers:  # counted from 0: which is meant is not certain
        answers = {}
    return tuple(own.pop() if len(own := answers.get(i, {None})) == 1 else None for i in range(1, n + 1))


_NUMBER = re.compile(r"\s*(?:criterion[\s_]*)?(\d{1,4})\s*", re.IGNORECASE)


def _yes_no(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, Mapping):  # {"1": {"answer": "yes", "why": "..."}}
        return next((_yes_no(value[key]) for key in ("answer", "met", "verdict") if key in value), None)
    return _YES_NO.get(value.strip().rstrip(".").casefold()) if isinstance(value, str) else None
