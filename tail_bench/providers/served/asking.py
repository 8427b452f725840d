"""HTTP to a served reward model: one request, bounded, with what went wrong told apart."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
from inspect_ai._util.http import is_retryable_http_status, parse_retry_after
from inspect_ai.model._model import RetryDecision

from tail_bench.errors import prerequisite_error, printable
from tail_bench.providers.served.wire import MEGABYTE, Malformed

CONNECT, PATIENCE, ABOUT = 10.0, 600.0, 30.0
"""Seconds to wait for a connection, for scores (a busy server queues), and for what a server says of itself."""

MOST = 64 * MEGABYTE
"""Bytes of the longest reply that is read: a score for each of many thousand tokens, several times over."""

NO_KEY = "it wants an API key: -M api_key=KEY, or RM_SERVER_API_KEY in the environment"

Answer = tuple[Any, Mapping[str, str]]
"""JSON and headers."""


class ServerError(Exception):
    """What Inspect may retry. status: None where no answer came. down: the connection failed or broke."""

    def __init__(self, message: str, decision: RetryDecision, status: int | None = None) -> None:
        super().__init__(message)
        self.decision = decision
        self.status_code = status

    @property
    def down(self) -> bool:
        """Whether nothing answered."""
        return self.status_code is None


class NoConnection(ServerError):
    """A ServerError where nothing took the connection."""


class Rejected(Exception):
    """What the server refuses (a 4xx status) for reasons of its own."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status_code = status


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reading them takes a tenth of a second


def client() -> httpx.AsyncClient:
    """A client for many requests at once."""
    return httpx.AsyncClient(
        verify=_certificates(),
        timeout=httpx.Timeout(PATIENCE, connect=CONNECT, pool=None),
        # Servers of uvicorn drop a connection that was idle for 5 seconds; it must not be used at that moment.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=128, keepalive_expiry=4.0),
    )


class Address:
    """One base URL. `name` is the same without user, password and query: that is what logs and messages show."""

    def __init__(self, url: str) -> None:
        given = url.strip()
        parts = urlsplit(given if "://" in given else f"http://{given}")
        try:
            parts.port  # noqa: B018  (raises where it is no number)
            host = parts.hostname
        except ValueError:
            host = None
        if parts.scheme not in ("http", "https") or not host:
            raise prerequisite_error(
                f"--model-base-url {printable(given.rpartition('@')[2])}: no address such as http://127.0.0.1:8000"
            )
        self.path = parts.path.rstrip("/").removesuffix("/v1")
        netloc = parts.netloc.rpartition("@")[2]
        self.name = urlunsplit((parts.scheme, netloc, self.path, "", ""))
        self._parts = parts

    def at(self, path: str) -> str:
        """The URL of an endpoint; of the address itself, if the path is empty."""
        return urlunsplit((self._parts.scheme, self._parts.netloc, f"{self.path}{path}", self._parts.query, ""))


async def ask(
    http: httpx.AsyncClient, address: Address, path: str, body: Mapping[str, Any] | None = None, key: str | None = None
) -> Answer:
    """GET, or POST with a body. ServerError, Rejected or Malformed where no JSON came back with a status of success."""
    what = f"{'GET' if body is None else 'POST'} {address.name}{path}"
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(body, ensure_ascii=False).encode()
    timeout: Any = httpx.Timeout(ABOUT, connect=CONNECT) if body is None else httpx.USE_CLIENT_DEFAULT
    method = "GET" if body is None else "POST"
    try:
        async with http.stream(
            method, address.at(path), content=content, headers=headers, timeout=timeout, follow_redirects=False
        ) as response:
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MOST:
                    raise Malformed(f"{what}: a reply of more than {MOST // MEGABYTE} MB")
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NoConnection(f"{what}: no connection ({_why(error)})", RetryDecision.transient()) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(f"{what}: {_why(error)}", RetryDecision.transient()) from error
    return _read(what, response, bytes(data))


def _read(what: str, response: httpx.Response, data: bytes) -> Answer:
    status = response.status_code
    try:
        found = json.loads(data)
        readable = True
    except (ValueError, RecursionError):
        found, readable = None, False
    if status in (401, 403):
        raise prerequisite_error(f"{what}: {status}, {NO_KEY}")
    if status == 429:
        decision = RetryDecision.rate_limit(parse_retry_after(response.headers))
        raise ServerError(f"{what}: 429 {_message(found, data)}", decision, status)
    if is_retryable_http_status(status):
        decision = RetryDecision.transient(parse_retry_after(response.headers))
        raise ServerError(f"{what}: {status} {_message(found, data)}", decision, status)
    if status >= 400:
        raise Rejected(_message(found, data), status)
    if 300 <= status < 400:
        raise Malformed(f"{what}: redirects to {_line(response.headers.get('location', ''))}: give that address")
    if not readable:
        raise Malformed(f"{what}: no JSON but {_kind(response, data)}")
    return found, response.headers


def _message(found: Any, data: bytes) -> str:
    """The server's own words in the body of an error, wherever it puts them."""
    said = found
    for _ in range(3):
        if isinstance(said, Mapping):
            said = next((said[name] for name in ("error", "message", "detail", "msg") if said.get(name)), None)
        elif isinstance(said, list) and said:
            said = said[0]
    if isinstance(said, (str, int)):
        return _line(str(said))
    return _line(data[:400].decode(errors="replace"))


def _kind(response: httpx.Response, data: bytes) -> str:
    start = data[:200].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) or "html" in response.headers.get("content-type", ""):
        return "an HTML page"
    return f"`{_line(data[:200].decode(errors='replace'))}`" if start else "nothing"


def _line(text: str) -> str:
    said = " ".join(printable(text[:1000]).split())
    return said if len(said) <= 300 else f"{said[:297]}..."


def _why(error: Exception) -> str:
    return _line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
