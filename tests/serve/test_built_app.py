"""The built app comes packed to whom takes it so, and is the same text to all."""

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.serve.edges import Edge, edge

SCRIPT = "export const heron = 1;\n" * 100


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A built app whose gzip is a real one; what stands for Brotli is only told apart by its bytes."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    for name, text in (("index.html", "<title>Twinfold</title>"), ("assets/app-1a2b.js", SCRIPT)):
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "assets/app-1a2b.js.br").write_bytes(b"brotli")
    (folder / "assets/mark.svg").write_text("<svg/>")
    return folder


@pytest.mark.parametrize(
    ("path", "accepted", "coding"),
    [
        ("/assets/app-1a2b.js", "gzip, deflate, br, zstd", "br"),
        ("/assets/app-1a2b.js", "gzip", "gzip"),
        ("/assets/app-1a2b.js", "br;q=0, gzip;q=0.5", "gzip"),
        ("/assets/app-1a2b.js", "*", "br"),
        ("/assets/app-1a2b.js", "identity", None),
        ("/assets/app-1a2b.js", "", None),
        ("/assets/app-1a2b.js", "gzip;q=0, *;q=0.000", None),
        ("/assets/app-1a2b.js", "brotli", None),
        ("/assets/mark.svg", "gzip, br", None),
        ("/devices/pump-01", "gzip, br", "gzip"),
    ],
)
def test_each_gets_the_smallest_that_it_takes(
    tmp_path: Path, static: Path, path: str, accepted: str, coding: str | None
) -> None:
    async def test(it: Edge) -> None:
        async with it.client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
            body = b"".join([part async for part in answer.aiter_raw()])
        plain = static / (path.lstrip("/") if "." in path else "index.html")
        ending = {None: "", "br": ".br", "gzip": ".gz"}[coding]
        assert answer.headers.get("content-encoding") == coding
        assert body == plain.with_name(plain.name + ending).read_bytes()
        assert answer.headers["vary"] == "Accept-Encoding"
        kind = {".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html"}[plain.suffix]
        assert answer.headers["content-type"].startswith(kind)

    async def told() -> None:
        async with edge(tmp_path, static=static) as it:
            await test(it)

    asyncio.run(told())
