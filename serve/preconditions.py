"""ETags, both ways (RFC 9110, 13.1): who changes something names the revision that it is a change of, and who has read
something already is told that it has not changed, without being sent it again.

What has a revision is tagged with it. A page of the live table is tagged with the generation that it was made of and the
question, so that whether it has changed is known before the question is put.
"""

import hashlib
from typing import Annotated, Any, Final

from fastapi import Depends, Header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import PreconditionError
from serve.live import View
from serve.present import reply

NONE_MATCH: Final = "If-None-Match"

Match = Annotated[
    str | None, Header(alias="If-Match", description="the ETag that this is a change of, or * for any")
]

_KEEP: Final = "private, no-cache"  # kept by who asked, and asked for again each time
_VARY: Final = "Authorization, Cookie"
_MOST_TAGS: Final = 4_096  # characters
_BODY: Final = ("content-length", "content-type")


def expected(if_match: str | None) -> int | None:
    """The revision that a change is one of; None for any.

    Raises
    ------
    PreconditionError : the header is missing, or no ETag that was given out.
    """
    if if_match is None:
        raise PreconditionError(
            "If-Match is missing", "send the ETag of what you changed, or * to change it anyway"
        )
    text = if_match.strip()
    if text == "*":
        return None
    number = text.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise PreconditionError(
            f"If-Match {text[:40]!r} is no ETag that was given out", "send the ETag as it came"
        )
    return int(number)


def tagged(body: Any, revision: int | None = None, status: int = 200) -> Response:
    """``body`` as a reply with its ETag: the revision, or where there is none a digest of what is sent."""
    answer = reply(body, status)
    text = hashlib.sha256(answer.body).hexdigest()[:20] if revision is None else str(revision)
    return _labelled(answer, f'"{text}"')


def revised(body: Any, revision: int, status: int = 200) -> Response:
    """``body`` as a reply with the revision that a change of it names; there is more in it that moves by itself, so it is
    not to be kept.
    """
    answer = reply(body, status)
    answer.headers["ETag"] = f'"{revision}"'
    return answer


class Question:
    """What somebody asks of the live table, and what answers to it they have.

    Parameters
    ----------
    request : with its path and query, and the ETags in its If-None-Match
    """

    def __init__(self, request: Request) -> None:
        self._known = _tags(request.headers)
        scope = request.scope
        self._asked = scope["path"].encode() + b"?" + scope["query_string"]

    def beside(self, more: Any) -> "Question":
        """The same question where the answer is made of ``more`` than the live table, too."""
        self._asked += repr(more).encode()
        return self

    def tag(self, view: View) -> str:
        """The ETag of the answer from ``view``."""
        shown = [
            (g.host, g.epoch, g.cursor, g.at_us, g.reachable, sorted(g.tables))
            for g in view.generations.values()
        ]
        text = repr((shown, None if view.sites is None else sorted(view.sites)))
        return f'W/"{hashlib.sha256(text.encode() + self._asked).hexdigest()[:20]}"'

    def known(self, view: View) -> Response | None:
        """The reply to somebody who has the answer from ``view`` already; None to anybody else."""
        if not self._known:
            return None
        tag = self.tag(view)
        return _labelled(Response(status_code=304), tag) if _matches(tag, self._known) else None

    def answered(self, view: View, answer: Response) -> Response:
        """The answer from ``view``, with its ETag."""
        return _labelled(answer, self.tag(view))


async def question(
    request: Request,
    known: Annotated[
        str | None,
        Header(alias=NONE_MATCH, description="ETags of answers at hand; 304 where one of them still holds"),
    ] = None,
) -> Question:
    """What is asked, for routes. ``known`` is there to be documented."""
    return Question(request)


Asked = Annotated[Question, Depends(question)]


class NotModified:
    """A layer round the app that leaves out the body of a reply that was ``tagged`` and that the client has.

    Parameters
    ----------
    app : what replies
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = _tags(Headers(scope=scope)) if scope["type"] == "http" and scope["method"] == "GET" else []
        if not known:
            await self._app(scope, receive, send)
            return
        left_out = False

        async def told(message: Message) -> None:
            nonlocal left_out
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                left_out = headers.get("cache-control") == _KEEP and _matches(headers.get("etag", ""), known)
                if left_out:
                    message["status"] = 304
                    for name in _BODY:
                        del headers[name]
            if left_out and message["type"] == "http.response.body":
                if message.get("more_body"):
                    return
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, receive, told)


def _labelled(answer: Response, tag: str) -> Response:
    answer.headers["ETag"] = tag
    answer.headers["Cache-Control"] = _KEEP
    answer.headers["Vary"] = _VARY
    return answer


def _tags(headers: Headers) -> list[str]:
    text = headers.get(NONE_MATCH, "")[:_MOST_TAGS]
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _matches(tag: str, known: list[str]) -> bool:
    """Weakly, as RFC 9110 has it for If-None-Match."""
    return bool(tag) and (
        "*" in known or tag.removeprefix("W/") in (each.removeprefix("W/") for each in known)
    )
