"""`rm-python/MODULE:CALLABLE`: the user's own scorer, in the form that they already train with.

Three signatures are told apart by the names of the parameters:
- verl's `compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float | {"score": float}`;
- TRL's `f(prompts, completions, **columns) -> list[float | None]`, sync or async;
- any other `f(conversations) -> list[float | None]`, each conversation a list of messages that ends with the response.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from inspect_ai.model import ChatMessage, ChatMessageAssistant, GenerateConfig

from tail_bench.errors import prerequisite_error
from tail_bench.graders.messages import message_dict, text_of
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest, as_reward
from tail_bench.providers.worker import Worker

Form = Literal["conversations", "trl", "verl"]
FORMATS = ("auto", "standard", "conversational")


class PythonRewardModel(RewardModelAPI):
    """A Python callable as a reward model.

    `-M format=standard|conversational` says how TRL's form gets prompts and completions: as strings or as lists of
    messages. By default, as in TRL, the data decide: a prompt that is one user message is a string.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's signature)
        format: str = "auto",
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if model_args:
            raise prerequisite_error(f"rm-python takes -M format=, not {', '.join(sorted(model_args))}")
        if format not in FORMATS:
            raise prerequisite_error(f"-M format={format}: must be one of {', '.join(FORMATS)}")
        self.format = format
        self.function = load_callable(model_name)
        self.form = form_of(self.function)
        check_signature(model_name, self.function, self.form)
        self.worker = Worker()

    def fingerprint(self) -> str:
        """The source files of the callable and of MODULE, and the format: what they load besides is not seen."""
        function: Any = self.function
        while isinstance(function, partial):
            function = function.func
        function = inspect.unwrap(function)
        try:
            source = inspect.getsourcefile(function if inspect.isroutine(function) else type(function))
        except TypeError:  # written in C
            source = None
        module = getattr(sys.modules.get(self.model_name.partition(":")[0]), "__file__", None)
        code = b"".join(Path(file).read_bytes() for file in (source, module) if file and Path(file).is_file())
        return hashlib.sha256(code + self.format.encode()).hexdigest()

    async def score(self, request: ScoreRequest) -> list[Reward]:
        prompt, responses, columns = request.prompt, request.responses, request.columns
        if self.form == "verl":
            return [await self._verl(prompt, response, columns) for response in responses]
        together = await self._rewards(prompt, responses, columns)
        if not isinstance(together, str):
            return together
        # One bad response must null only itself: ask for each alone, and say that this was done. A reward that is
        # relative to the others of its group is another one alone.
        alone = []
        for response in responses:
            own = await self._rewards(prompt, [response], columns)
            reward = Reward(None, own) if isinstance(own, str) else own[0]
            alone.append(reward._replace(alone=together))
        return alone

    async def _rewards(
        self,
        prompt: Sequence[ChatMessage],
        responses: Sequence[ChatMessageAssistant],
        columns: Mapping[str, Any],
    ) -> list[Reward] | str:
        """The rewards of one call, or in words why it gave none."""
        if self.form == "conversations":
            call = partial(self.function, [[*map(message_dict, prompt), message_dict(r)] for r in responses])
        else:
            call = partial(self.function, **self._trl_arguments(prompt, responses, columns))
        try:
            values = await self._call(call)
            if hasattr(values, "tolist"):
                values = values.tolist()
            if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
                return f"returned {type(values).__name__}, not a list of {len(responses)} rewards"
            if len(values) != len(responses):
                return f"returned {len(values)} rewards for {len(responses)} responses"
            return [as_reward(v) for v in values]
        except Exception as error:  # a user's code may raise anything
            return _raised(error)

    async def _verl(
        self, prompt: Sequence[ChatMessage], response: ChatMessageAssistant, columns: Mapping[str, Any]
    ) -> Reward:
        columns = deepcopy(dict(columns))
        arguments = {
            "data_source": columns.get("data_source", columns.get("source")),
            "solution_str": text_of(response),
            "ground_truth": columns.get("ground_truth"),
            "extra_info": columns.get("extra_info"),
        }
        try:
            value = await self._call(partial(self.function, **_accepted(self.function, arguments)))
            return as_reward(value.get("score") if isinstance(value, Mapping) else value)
        except Exception as error:  # a user's code may raise anything
            return Reward(None, _raised(error))

    def _trl_arguments(
        self,
        prompt: Sequence[ChatMessage],
        responses: Sequence[ChatMessageAssistant],
        columns: Mapping[str, Any],
    ) -> dict[str, Any]:
        standard = self.format == "standard" or (
            self.format == "auto" and len(prompt) == 1 and prompt[0].role == "user"
        )
        # Every row has objects of its own, as in TRL: a function may change them.
        prompts: list[Any] = [prompt[-1].text if standard else [message_dict(m) for m in prompt] for _ in responses]
        completions: list[Any] = [text_of(r) if standard else [message_dict(r)] for r in responses]
        # In TRL a column has a value for each completion.
        rows = {name: [deepcopy(value) for _ in responses] for name, value in columns.items()}
        arguments = _accepted(self.function, {**rows, "prompts": prompts, "completions": completions})
        # TRL passes token ids too. There are none here: who only lists them runs, who reads them raises.
        if "completion_ids" in inspect.signature(self.function).parameters:
            arguments.setdefault("completion_ids", [None] * len(responses))
        return arguments

    async def _call(self, call: Callable[[], Any]) -> Any:
        if inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(
            getattr(self.function, "__call__", None)  # noqa: B004  (an object whose __call__ is async)
        ):
            return await call()
        value = await self.worker.run(call)
        return await value if inspect.isawaitable(value) else value


def load_callable(name: str) -> Callable[..., Any]:
    """The callable that MODULE:CALLABLE names, the module searched in the working directory too."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise prerequisite_error(
            f"rm-python/{name}: write rm-python/MODULE:CALLABLE, for example rm-python/my_reward:score"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # a console script does not look there by itself
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise prerequisite_error(
                f"rm-python/{name}: no module {module_name!r} in {here} or among the installed packages"
            ) from error
        raise prerequisite_error(f"rm-python/{name}: importing {module_name!r} failed: {error}") from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything, or exit
        raise prerequisite_error(f"rm-python/{name}: importing {module_name!r} failed: {_raised(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            there = [n for n in dir(found) if not n.startswith("_") and callable(getattr(found, n, None))]
            raise prerequisite_error(
                f"rm-python/{name}: {module_name!r} has no {attribute!r}; callables there: {', '.join(there) or 'none'}"
            )
        found = getattr(found, part)
    if not callable(found) or inspect.isclass(found):
        kind = type(found).__name__
        raise prerequisite_error(f"rm-python/{name}: is of type {kind}, not a function or callable object")
    return found  # type: ignore[no-any-return]


def form_of(function: Callable[..., Any]) -> Form:
    """Which of the three signatures a callable has."""
    try:
        names = set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some builtins have no signature
        return "conversations"
    if "solution_str" in names:
        return "verl"
    return "trl" if names & {"prompts", "completions", "completion_ids"} else "conversations"


def check_signature(name: str, function: Callable[..., Any], form: Form) -> None:
    """PrerequisiteError where the function cannot be called in its form, whatever the responses."""
    try:
        parameters = inspect.signature(function).parameters
        if form == "conversations":
            inspect.signature(function).bind([])
        elif any(p.kind is p.POSITIONAL_ONLY for p in parameters.values()):
            raise TypeError("takes positional-only parameters, and is called with names")
    except TypeError as error:
        raise prerequisite_error(
            f"rm-python/{name}: {error}. The forms are f(conversations), TRL's f(prompts, completions, **columns) and"
            " verl's compute_score(data_source, solution_str, ground_truth, extra_info)"
        ) from error
    except ValueError:  # some functions written in C have no signature
        return


def _accepted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that the function takes."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return dict(arguments)
    return {name: value for name, value in arguments.items() if name in parameters}


def _raised(error: BaseException) -> str:
    return f"raised {type(error).__name__}: {str(error)[:200]}"
