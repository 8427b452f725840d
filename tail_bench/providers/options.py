"""From -M values to a provider's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tail_bench.errors import InputError, listed

Options = TypeVar("Options", bound=BaseModel)


def options_of(kind: type[Options], name: str, given: Mapping[str, Any]) -> Options:
    """The -M values as options; InputError that names what is wrong and what there is. name: of the model."""
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            where = ".".join(map(str, problem["loc"][:1]))
            if problem["type"] == "extra_forbidden":
                problems.append(f"-M {where}: no such option; there is {', '.join(kind.model_fields)}")
            elif problem["type"] == "missing":
                problems.append(f"-M {where}=... is needed")
            else:
                said = problem["msg"].removeprefix("Value error, ")
                problems.append(f"-M {where}: {said}" if where else f"-M {said}")
        raise InputError(listed(name, list(dict.fromkeys(problems)))) from error
