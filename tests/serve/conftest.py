"""The databases that the edge's tests run on: a file, and a real PostgreSQL that is started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.config import DatabaseConfig
from serve.database import Database
from tests.postgres import fresh_database, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server of these tests' own."""
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'twinfold.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of each kind, with its tables."""
    found = Database(DatabaseConfig(database_url))
    found.migrate()
    yield found
    found.close()
