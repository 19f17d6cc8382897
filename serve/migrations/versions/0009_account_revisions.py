"""Revisions of accounts, so that two admins do not undo each other's changes unseen."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
