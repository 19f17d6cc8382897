"""Steps from one shape of the tables to the next, in ``versions/``; Alembic walks them.

A change of a table is a new file there, ``NNNN_what.py`` with ``revision`` NNNN, and ``HEAD`` below. Steps are written
by hand and run in one transaction; a test compares where they lead with what the owners declare.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

HEAD: Final = "0010"
"""The newest revision; here so that a start that has nothing to migrate need not load Alembic."""

_FOLDER: Final = Path(__file__).parent
TABLE: Final = "alembic_version"
"""Where Alembic keeps the revision."""


def revision(connection: Connection) -> str | None:
    """Where the tables are; None before the first step."""
    if not inspect(connection).has_table(TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()
    return found


def is_known(revision_id: str) -> bool:
    """Whether this Twinfold knows the revision."""
    return any(path.name.startswith(f"{revision_id}_") for path in (_FOLDER / "versions").glob("*.py"))


def upgrade(connection: Connection, to: str = "head") -> None:
    """Take every step that is left, or those up to a revision, in the transaction of ``connection``."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    script = scripts()
    # Alembic's own cookbook walks the steps in this way
    with EnvironmentContext(Config(), script, fn=lambda at, _: script._upgrade_revs(to, at)) as environment:
        environment.configure(connection=connection, render_as_batch=True)
        environment.run_migrations()


def scripts() -> "ScriptDirectory":
    """The steps as Alembic sees them."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_FOLDER))
