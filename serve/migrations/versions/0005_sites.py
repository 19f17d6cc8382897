"""At which sites an account's role counts; keys of more than one kind; and from which line on the audit is kept."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PAGE = 1_000


def upgrade() -> None:
    op.add_column("accounts", sa.Column("sites", sa.Text))
    op.add_column("invites", sa.Column("sites", sa.Text))
    op.add_column("notices", sa.Column("site", sa.String(256), nullable=False, server_default=""))
    op.add_column("device_keys", sa.Column("kind", sa.String(10), nullable=False, server_default="readings"))
    _name_sites()
    op.create_table(
        "audit_start",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_start"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _shorten_sqlite()
    else:
        _shorten_postgresql()


def _name_sites() -> None:
    """Tell notices from before of which site they are; their facts say it."""
    connection = op.get_bind()
    names = ("route", "alert", "round", "step")
    notices = sa.table("notices", *map(sa.column, (*names, "facts", "site")))
    key = [notices.c[name] for name in names]
    where = sa.and_(*(notices.c[name] == sa.bindparam(f"a_{name}") for name in names))
    after: Any = None
    while True:
        query = sa.select(*key, notices.c.facts).order_by(*key).limit(_PAGE)
        if after is not None:
            query = query.where(sa.tuple_(*key) > sa.tuple_(*after[: len(key)]))
        rows = connection.execute(query).all()
        if not rows:
            return
        values = [
            {
                **{f"a_{name}": row[at] for at, name in enumerate(names)},
                "a_site": str(json.loads(row.facts).get("site", ""))[:256],
            }
            for row in rows
        ]
        connection.execute(sa.update(notices).where(where).values(site=sa.bindparam("a_site")), values)
        after = rows[-1]


_KEPT = "COALESCE((SELECT number FROM audit_start), 0)"


def _shorten_sqlite() -> None:
    """Lines of the audit may go that lie before its start, and that only moves on."""
    op.execute("DROP TRIGGER audit_no_delete")
    op.execute(
        f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN OLD.number >= {_KEPT} "
        "BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END"
    )
    op.execute(
        "CREATE TRIGGER audit_start_no_return BEFORE UPDATE ON audit_start WHEN NEW.number < OLD.number "
        "BEGIN SELECT RAISE(ABORT, 'the start of the audit only moves on'); END"
    )
    op.execute(
        "CREATE TRIGGER audit_start_no_delete BEFORE DELETE ON audit_start "
        "BEGIN SELECT RAISE(ABORT, 'the start of the audit only moves on'); END"
    )


def _shorten_postgresql() -> None:
    op.execute("DROP TRIGGER audit_only_grows ON audit")
    op.execute(
        "CREATE TRIGGER audit_only_grows BEFORE UPDATE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()"
    )
    op.execute(
        "CREATE FUNCTION audit_goes_from_its_start() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF OLD.number >= {_KEPT} THEN RAISE EXCEPTION 'the audit only grows'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_goes_from_its_start BEFORE DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_goes_from_its_start()"
    )
    op.execute(
        "CREATE FUNCTION audit_start_moves_on() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF TG_OP = 'UPDATE' AND NEW.number >= OLD.number THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION 'the start of the audit only moves on'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_start_moves_on BEFORE UPDATE OR DELETE ON audit_start "
        "FOR EACH ROW EXECUTE FUNCTION audit_start_moves_on()"
    )
