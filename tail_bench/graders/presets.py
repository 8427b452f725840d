"""Prompt presets: YAML files with the texts that a judge or verifier is asked with, and how its answer is read.

mode: pairwise | pointwise | listwise | verify-each | verify-together
system: TEXT                  optional
user: TEXT                    with the placeholders of the mode, in Jinja's form: {{ response_a }}, {% if %}, {% for %}
verdict: REGEX or a list      the last match counts, its first group that took part is the label; the form that is asked
                              for comes first: a match of another counts only if nothing contradicts it
values: {A: 1, B: 0}          what a label is worth: p of the first response, or of yes
scale: [1, 10]                in place of values where the label is a number
order: ranking | scores       listwise: labels best first, or a score for each as shown
quote: true                   responses between marked tags; false for published forms that leave no room for them
reasoning: true | false       whether it thinks before the verdict; left out: by -T reasoning, {% if reasoning %}
max_tokens, temperature       optional; the user's --max-tokens and --temperature come first
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from tail_bench.errors import InputError, listed
from tail_bench.graders.quoting import mark_of, own_lines, quoted, set_off

Mode = Literal["pairwise", "pointwise", "listwise", "verify-each", "verify-together"]

NEEDS: dict[str, tuple[str, ...]] = {
    "pairwise": ("prompt", "response_a", "response_b"),
    "pointwise": ("prompt", "response"),
    "listwise": ("prompt", "responses"),
    "verify-each": ("prompt", "response", "criterion"),
    "verify-together": ("prompt", "response", "criteria"),
}
"""The placeholders that a preset of each mode must have."""

MOST_STEPS = 1000
"""The longest scale and the longest range() in a template."""

FOLDER = Path(__file__).parent / "prompts"


def _a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Yaml(yaml.SafeLoader):
    """YAML in which yes, no, on and off are words, as labels are, and dates too."""


_Yaml.yaml_implicit_resolvers = {
    first: [r for r in resolvers if r[0] not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_range(*ends: int) -> range:
    steps = range(*ends)
    if len(steps) > MOST_STEPS:
        raise ValueError(f"range() of more than {MOST_STEPS:,} steps")
    return steps


# A preset may come from a stranger: a sandbox, an error for a placeholder that is not there, and of Jinja only what
# ends soon: a sandbox alone computes 10**10**10 and loops in loops.
_JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
_JINJA.globals = {"range": _short_range}
_FILTERS = ("join", "length", "trim")
_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.If, nodes.CondExpr),
    *(nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.Test, nodes.Add, nodes.Sub, nodes.Neg),
    *(nodes.Concat, nodes.For, nodes.Getitem, nodes.Getattr, nodes.Call, nodes.Filter),
)


def _parsed(field: str, text: str) -> nodes.Template:
    """A template's tree; ValueError where it is none, or has more of Jinja than a preset may."""
    try:
        tree = _JINJA.parse(text)
    except (TemplateError, RecursionError, ValueError) as error:
        raise ValueError(f"{field}: is no template: {error}") from error
    for node in tree.find_all(nodes.Node):
        if not _allowed(node):
            name = getattr(node, "name", None) or getattr(node, "attr", None) or type(node).__name__.lower()
            raise ValueError(
                f"{field}: has {name} (in its line {node.lineno}), and of Jinja there may be placeholders, "
                "{% if %}, {% for %} without another in it, range(), loop.index and its like, + and -, "
                f"and the filters {', '.join(_FILTERS)}"
            )
    return tree


def _allowed(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Name) and node.node.name == "range"
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and node.node.name == "loop"
    if isinstance(node, nodes.Filter):
        return node.name in _FILTERS
    if isinstance(node, nodes.For):
        return not node.recursive and node.find(nodes.For) is None
    return isinstance(node, _NODES)


_SAMPLE = 'A <sample> of several lines:\n\n  it\'s {{ here }} & "there", for'


class Preset(BaseModel):
    """A prompt preset as read and checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    mode: Mode
    system: str | None = None
    user: str = Field(min_length=1)
    verdict: Annotated[list[str], BeforeValidator(_a_list)] = []
    values: dict[str, FiniteFloat] | None = Field(default=None, min_length=2)
    scale: tuple[int, int] | None = None
    order: Literal["ranking", "scores"] = "ranking"
    quote: bool = True
    reasoning: bool | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: FiniteFloat | None = Field(default=None, ge=0)

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        # YAML reads 1 as a number: labels are what a judge writes.
        return {str(k): v for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = meta.find_undeclared_variables(_parsed("system", self.system or ""))
        names |= meta.find_undeclared_variables(_parsed("user", self.user))
        needed = set(NEEDS[self.mode])
        if missing := needed - names:
            raise ValueError(f"user lacks {', '.join(f'{{{{ {n} }}}}' for n in sorted(missing))}")
        known = needed | self._also()
        if unknown := names - known:
            raise ValueError(
                f"user or system has the unknown placeholder {', '.join(sorted(unknown))}; "
                f"there are {', '.join(sorted(known))}"
            )
        if self.reasoning is None and "reasoning" not in names:
            raise ValueError(
                "reasoning: true or false is missing (or {% if reasoning %} in user, to follow -T reasoning)"
            )
        if self.mode != "verify-together" and not self.verdict:
            raise ValueError("verdict: is missing, a regular expression with a group around the label")
        for pattern in self.verdict:
            try:
                if not re.compile(pattern).groups:
                    raise ValueError(f"verdict: {pattern!r} has no group around the label")
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"verdict: {pattern!r} is no regular expression: {error}") from error
        try:
            _ = self.pattern
        except re.error as error:
            raise ValueError(
                f"verdict: cannot be part of a larger pattern: {error}; write (?i:...) for (?i), and name a group once"
            ) from error
        if self.mode == "pointwise" and (self.scale is None) == (self.values is None):
            raise ValueError("a pointwise preset has either scale: [low, high] or values: {label: number}")
        if self.mode in ("pairwise", "verify-each") and not self.values:
            raise ValueError("values: is missing, what each label is worth, as {A: 1, B: 0}")
        if self.mode in ("pairwise", "verify-each") and not all(0 <= v <= 1 for v in (self.values or {}).values()):
            raise ValueError("values: must lie in 0 to 1")
        if self.scale is not None and not 0 < self.scale[1] - self.scale[0] <= MOST_STEPS:
            raise ValueError(f"scale: must be [low, high] with low < high, and at most {MOST_STEPS} apart")
        if self.scale is not None and self.mode != "pointwise":
            raise ValueError(f"scale: is for pointwise presets, and mode is {self.mode}")
        if self.values is not None and self.mode in ("listwise", "verify-together"):
            raise ValueError(f"values: is for verdicts of one label, and mode is {self.mode}")
        if len(self.labels) < len(self.written):
            raise ValueError("values: has two labels that differ in nothing but case")
        return self

    @model_validator(mode="after")
    def _shows_every_text(self) -> Self:
        # Tried out here, since a template may fail, or leave a text out, only once it is filled: by then it costs.
        for reasoning in (False, True) if self.reasoning is None else (self.reasoning,):
            tried = self.model_copy(update={"reasoning": reasoning})
            for k in (2, 3):
                texts: dict[str, str | list[str]] = {name: f"{_SAMPLE} {name}." for name in NEEDS[self.mode]}
                if "responses" in texts:
                    texts["responses"] = [f"{_SAMPLE} response {n}." for n in range(k)]
                try:
                    filled = "\n".join(tried.render(texts))
                except Exception as error:
                    raise ValueError(f"user or system cannot be filled in: {error}") from error
                for name, value in texts.items():
                    if not all(text in filled for text in ([value] if isinstance(value, str) else value)):
                        when = "" if self.reasoning is not None else f" with reasoning={str(reasoning).lower()}"
                        loop = " (a list: {% for response in responses %})" * (name == "responses")
                        raise ValueError(f"user does not show {{{{ {name} }}}} whole{when}{loop}")
        return self

    def _also(self) -> set[str]:
        """The placeholders that the preset may have beyond those of its mode: the quotation's mark, -T reasoning, the
        scale's ends, the number of responses."""
        return {
            "reasoning",
            *(("mark",) if self.quote else ()),
            *(("low", "high") if self.scale else ()),
            *(("k",) if self.mode == "listwise" else ()),
        }

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The verdict patterns as one; `^` and `$` are ends of lines."""
        return re.compile("|".join(f"(?:{p})" for p in self.verdict), re.MULTILINE)

    @cached_property
    def written(self) -> dict[str, float]:
        """What each label is worth."""
        if self.scale is not None:
            return {str(n): float(n) for n in range(self.scale[0], self.scale[1] + 1)}
        return dict(self.values or {})

    @cached_property
    def labels(self) -> dict[str, float]:
        """What each label is worth, by the label without case."""
        return {label.casefold(): value for label, value in self.written.items()}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all that the preset says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @cached_property
    def _templates(self) -> tuple[Any, Any]:
        return _JINJA.from_string(self.system or ""), _JINJA.from_string(self.user)

    def render(self, texts: Mapping[str, str | Sequence[str]]) -> tuple[str, str]:
        """(system, user) text of a question about strangers' `texts` (by placeholder)."""
        mark = mark_of([t for value in texts.values() for t in ([value] if isinstance(value, str) else value)])
        if self.quote:
            return self._filled(texts, mark, lambda name, text: quoted(name, text, mark))
        own = own_lines("\n".join(self._filled(texts, mark, lambda name, text: mark)), mark)
        return self._filled(texts, mark, lambda name, text: set_off(text, own))

    def _filled(
        self, texts: Mapping[str, str | Sequence[str]], mark: str, shown: Callable[[str, str], str]
    ) -> tuple[str, str]:
        values: dict[str, Any] = {"mark": mark, "reasoning": self.reasoning}
        for name, value in texts.items():
            if not isinstance(value, str):
                values |= {name: [shown(f"response_{n}", text) for n, text in enumerate(value, 1)], "k": len(value)}
            else:  # a criterion is from a rubric, which is the user's
                values[name] = value if name in ("criterion", "criteria") else shown(name, value)
        if self.scale is not None:
            values["low"], values["high"] = self.scale
        system, user = self._templates
        return system.render(values).strip(), user.render(values).strip()


def with_reasoning(preset: Preset, reasoning: bool | None) -> Preset:
    """The preset with its `reasoning` settled; InputError where it is asked for what it does not do."""
    if preset.reasoning is None:
        return Preset.model_validate({**preset.model_dump(), "reasoning": bool(reasoning)})
    if reasoning is not None and reasoning is not preset.reasoning:
        does = "always thinks before its verdict" if preset.reasoning else "gives its verdict at once"
        raise InputError(f"reasoning={str(reasoning).lower()}: this preset {does}; leave reasoning out")
    return preset


def preset_names(modes: Sequence[str]) -> list[str]:
    """The names of our presets of these modes."""
    return [p.stem for p in sorted(FOLDER.glob("*.yaml")) if load_preset(p.stem).mode in modes]


def load_preset(prompt: str, modes: Sequence[str] = tuple(NEEDS)) -> Preset:
    """A preset by name or from a YAML file; InputError names file and field of what is wrong.

    `modes`: those that the task can use.
    """
    path = _path_of(prompt)
    if path is None:
        known = ", ".join(preset_names(modes))
        raise InputError(f"prompt={prompt}: no such preset or YAML file; the presets are {known}")
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Yaml)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # !!int of a word, !!bool of another and very deep brackets get past PyYAML's own errors
        raise InputError(f"{path}: is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: must be a mapping with mode, user and verdict")
    try:
        preset = Preset.model_validate(found)
    except ValidationError as error:
        raise InputError(listed(f"{path} is not a prompt preset:", [_problem(e) for e in error.errors()])) from error
    if preset.mode not in modes:
        raise InputError(f"prompt={prompt} is a preset for {preset.mode}, and this needs one for {' or '.join(modes)}")
    return preset


def _path_of(prompt: str) -> Path | None:
    try:
        ours = FOLDER / f"{prompt}.yaml"
        if re.fullmatch(r"[a-z0-9-]+", prompt) and ours.is_file():
            return ours
        path = Path(prompt).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError):  # a name too long, a home that is nobody's
        return None


def _problem(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{field}: is no field of a preset; there are {', '.join(Preset.model_fields)}"
    return ": ".join(filter(None, (field, error["msg"].removeprefix("Value error, "))))
