"""A tokenizer, servers that are closed again, and what asks them."""

from __future__ import annotations

import anyio
import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, get_model

from tail_bench.providers.rendering import load_renderer
from tail_bench.providers.reward_model import ScoreRequest
from tests.providers.served.fakes import MODEL, make_tokenizer, truth

TEXTS = ("Paris is the capital.", "It is Lyon.", "no no no")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("rm")
    make_tokenizer(where)
    return str(where)


@pytest.fixture(scope="session")
def tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch):
    for name in ("RM_SERVER_BASE_URL", "RM_SERVER_API_KEY", "INSPECT_EVAL_MODEL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start():
    """Makes servers, which end with the test."""
    started = []

    def starting(server, /, *args, **kwargs):
        started.append(server(*args, **kwargs))
        return started[-1]

    yield starting
    for server in started:
        server.close()


def request(*texts, **how):
    responses = [ChatMessageAssistant(content=t) for t in texts or TEXTS]
    return ScoreRequest([ChatMessageUser(content="Which city is it?")], responses, **how)


class Asking:
    """A provider of the servers, and what it says."""

    def __init__(self, folder, *servers, model=MODEL, **arguments):
        self.folder, self.template = arguments.get("tokenizer") or folder, arguments.get("template")
        urls = ",".join(s if isinstance(s, str) else s.url for s in servers)
        given = {"tokenizer": folder, **arguments}
        given = {name: value for name, value in given.items() if value is not None}
        self.api = get_model(f"rm-server/{model}", base_url=urls, memoize=False, **given).api

    def score(self, *texts, **how):
        return anyio.run(self.api.score, request(*texts, **how))

    def values(self, *texts, **how):
        return [r.value for r in self.score(*texts, **how)]

    def true(self, *texts):
        """The rewards of the ids that are rendered here."""
        renderer = load_renderer(self.folder, template=self.template, max_length=10**6)
        asked = request(*texts)
        return [truth(renderer.render(asked.prompt, r).ids) for r in asked.responses]

    def refused(self, match):
        with pytest.raises(PrerequisiteError) as caught:
            self.score()
        said = " ".join(str(caught.value.message).split())
        assert match in said, said
        return said

    @property
    def facts(self):
        return self.api.facts()

    @property
    def warnings(self):
        return self.facts.get("warnings", [])


@pytest.fixture
def asking(folder):
    """Makes a provider for servers."""

    def made(*servers, **arguments):
        return Asking(folder, *servers, **arguments)

    return made
