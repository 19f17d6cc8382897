"""One request and its answer: who asks, what is asked again and when, and what an answer becomes. No nouns here."""

import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, SecretStr

from serve.client.credentials import Credential
from serve.errors import ApiError, UnansweredError

Query = Mapping[str, Any]

Revision = int | Literal["*"]
"""What a change is a change of: the ``revision`` that was read, or ``*`` for whatever is there."""

BUSY: Final = 429
AWAY: Final = (503, 507)
"""Statuses of what cannot be done for the moment: too much, a part that is down, a disk that is full."""

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_STANDARD: Final = frozenset({"type", "title", "status", "detail", "code"})
_NOTHING_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


Model = TypeVar("Model", bound=BaseModel)


class Connection:
    """Asks one platform, again where that repeats nothing.

    A refusal for too much work (429) is asked again as the platform says. A lost answer, 503 and 507 are asked again
    only where that is safe: reading, readings, and commands with a key of their own. A platform that never answered yet is
    not waited for: its address may be wrong.

    Parameters
    ----------
    url : of the platform
    credential : who asks
    timeout_s : how long one answer may take
    patience_s : how long to go on asking, s; 0: ask once
    """

    def __init__(self, url: str, credential: Credential, timeout_s: float, patience_s: float) -> None:
        self.url = url.rstrip("/")
        self.credential = credential
        self.patience_s = patience_s
        self._reached = threading.Event()
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s)

    def close(self) -> None:
        self._http.close()

    # -- what nouns ask with ---------------------------------------------------------------------------------------

    def get(self, model: type[Model], path: str, query: Query | None = None) -> Model:
        """What is there."""
        return model.model_validate_json(self.ask("GET", path, query).content)

    def pages(self, model: type[Model], path: str, query: Query) -> Iterator[Model]:
        """One page of a list after another."""
        page = self.get(model, path, query)
        yield page
        while (following := getattr(page, "next", None)) is not None:
            page = self.get(model, path, {**query, "after": following})
            yield page

    def send(
        self, model: type[Model], method: str, path: str, body: Any = None, revision: Revision | None = None
    ) -> Model:
        """Change something, and give what it is now; with ``revision``, only if it is still that one (``*``: any)."""
        return model.model_validate_json(self.change(method, path, body, revision).content)

    def change(
        self, method: str, path: str, body: Any = None, revision: Revision | None = None
    ) -> httpx.Response:
        """``send``, where the answer is no JSON."""
        return self.ask(method, path, content=as_json(body), headers=if_match(revision))

    def command(
        self,
        model: type[Model],
        method: str,
        path: str,
        body: Any,
        key: str | None,
        revision: Revision | None = None,
    ) -> Model:
        """Send a command under a key, so that it is done once however often it is sent; without one, under a new one. With
        ``revision``, as ``send``."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex, **if_match(revision)}
        answer = self.ask(method, path, content=as_json(body), headers=headers, again=True)
        return model.model_validate_json(answer.content)

    # -- one request -----------------------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool | None = None,
        fine: Sequence[int] = (),
    ) -> httpx.Response:
        """The platform's answer. ``again``: whether it may be asked twice (left out: reading may); ``fine``: which refusals
        are answers.

        Raises
        ------
        ApiError : it refuses.
        UnansweredError : it does not answer.
        """
        may = again if again is not None else method == "GET"
        sent = {"Content-Type": "application/json"} if content is not None else {}
        request: dict[str, Any] = {"params": _plain(query or {}), "content": content}
        until_s, renewed = time.monotonic() + self.patience_s, False
        trouble: ApiError | UnansweredError
        for pause_s in pauses():
            safe = True  # nothing was asked yet
            try:
                who = self.credential.headers(self.post)
                safe = may
                answer = self._http.request(
                    method, path, headers={**sent, **(headers or {}), **who}, **request
                )
            except httpx.TransportError as error:
                trouble = UnansweredError(self.url, str(error) or type(error).__name__)
                safe = (safe or isinstance(error, _NOTHING_SENT)) and self._reached.is_set()
            except ApiError as error:
                trouble, safe = error, error.status in (BUSY, *AWAY)
            else:
                self._reached.set()
                if answer.is_success or answer.status_code in fine:
                    return answer
                if (
                    answer.status_code == httpx.codes.UNAUTHORIZED
                    and not renewed
                    and self.credential.renew(who)
                ):
                    renewed = True
                    continue
                trouble = problem_of(answer)
                safe = trouble.status == BUSY or (may and trouble.status in AWAY)
            if isinstance(trouble, ApiError):
                pause_s = trouble.facts.get("retry_after_s", pause_s)
            if not safe or time.monotonic() + pause_s > until_s:
                raise trouble
            time.sleep(pause_s)  # as long as the platform asked for, or longer each time
        raise AssertionError("pauses do not end")

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """As nobody in particular: for a credential that asks for another token."""
        answer = self._http.post(path, content=as_json(body), headers={"Content-Type": "application/json"})
        if not answer.is_success:
            raise problem_of(answer)
        return answer


def pauses() -> Iterator[float]:
    """How long to wait before asking again, s: longer each time, and never two clients in step."""
    for n in itertools.count():
        yield min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(n, 20)) * random.uniform(0.5, 1.0)  # noqa: S311


def problem_of(answer: httpx.Response) -> ApiError:
    """The error that a refusal is."""
    facts: dict[str, Any] = {}
    try:
        said = answer.json()
        code, detail = str(said["code"]), str(said["detail"])
        facts = {name: value for name, value in said.items() if name not in _STANDARD}
    except (ValueError, KeyError, TypeError):
        code, detail = ApiError.code, answer.text[:200] or f"{answer.status_code} {answer.reason_phrase}"
    wait = answer.headers.get("Retry-After", "")
    if wait.isdigit():
        facts.setdefault("retry_after_s", float(wait))
    return ApiError(answer.status_code, code, detail, facts)


def if_match(revision: Revision | None) -> dict[str, str]:
    """The header that says which revision a change is one of."""
    return {} if revision is None else {"If-Match": "*" if revision == "*" else f'"{revision}"'}


def in_path(*parts: object) -> str:
    """Parts of a path, each percent-encoded as a whole: ids may hold anything."""
    return "/".join(quote(str(part), safe="") for part in parts)


def as_json(body: Any) -> bytes | None:
    """A body as it travels: what a model was not given stays out, so that older platforms take it, too.

    Raises
    ------
    ValueError : it holds NaN or infinity, which JSON has not.
    """
    if body is None:
        return None
    return json.dumps(_open(body), allow_nan=False, ensure_ascii=False).encode()


def _open(value: Any) -> Any:
    """Models as what they were given, secrets included."""
    if isinstance(value, BaseModel):
        return {
            name: _open(getattr(value, name))
            for name in type(value).model_fields
            if name in value.model_fields_set
        }
    if isinstance(value, Mapping):
        return {name: _open(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_open(each) for each in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _plain(query: Query) -> dict[str, Any]:
    """A query without what is not given."""
    found = {
        name: value for name, value in query.items() if value is not None and value != "" and value != ()
    }
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()
    }
