"""The operator's app as files, each packed as well as the browser takes it: its build puts packed ones beside them."""

import asyncio
import mimetypes
from pathlib import Path
from typing import Annotated, Final

from fastapi import FastAPI, Header, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_FIRST: Final = "no-cache"
_PACKED: Final = {"br": ".br", "gzip": ".gz"}
"""Content codings and how the names of such files end, the smallest first."""


def serve_built_app(app: FastAPI, folder: Path) -> None:
    """Answer with the files of ``folder``: those under ``assets/`` are named by their content, so they may be kept for ever.

    Paths without a file are places inside the app, which finds its way itself.
    """
    root = folder.resolve()

    @app.get("/{path:path}", include_in_schema=False)
    async def static(path: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        if path.startswith("api/") or path in ("api", "metrics"):
            raise HTTPException(404, f"there is nothing at /{path[:100]}")
        try:
            file = (root / path).resolve()
            exists = file.is_relative_to(root) and await asyncio.to_thread(file.is_file)
        except (ValueError, OSError):  # no file has such a name
            raise HTTPException(404, "there is nothing here") from None
        if not file.is_relative_to(root):
            raise HTTPException(404, "there is nothing here")
        if not exists and "." in path.rpartition("/")[2]:
            raise HTTPException(404, f"there is no file {path[:100]!r}")
        lasting = exists and file.is_relative_to(root / "assets")
        return await asyncio.to_thread(
            _answer, file if exists else root / "index.html", lasting, accept_encoding
        )


def _answer(file: Path, lasting: bool, accepted: str) -> Response:
    headers = {"Cache-Control": _FOREVER if lasting else _ASK_FIRST, "Vary": "Accept-Encoding"}
    for coding in _codings(accepted):
        packed = file.with_name(file.name + _PACKED[coding])
        if packed.is_file():
            kind, _ = mimetypes.guess_type(file.name)
            return FileResponse(packed, headers={**headers, "Content-Encoding": coding}, media_type=kind)
    return FileResponse(file, headers=headers)


def _codings(accepted: str) -> list[str]:
    """Of the codings there may be, those that a header lets through (RFC 9110, 12.5.3)."""
    refused = ("0", "0.0", "0.00", "0.000")
    named = {}
    for each in accepted.lower().split(","):
        coding, _, weight = each.partition(";")
        named[coding.strip()] = weight.strip().removeprefix("q=") not in refused
    return [coding for coding in _PACKED if named.get(coding, named.get("*", False))]
