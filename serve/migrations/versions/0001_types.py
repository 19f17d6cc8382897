"""Versions of device types and rule sets, and what was put in force."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "type_versions",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("part", sa.String(8), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", "part", "number", name="pk_type_versions"),
        sa.UniqueConstraint("name", "part", "hash", name="uq_type_versions_name_part_hash"),
    )
    op.create_table(
        "type_installations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("type_number", sa.Integer, nullable=False),
        sa.Column("rules_number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_type_installations"),
    )
    op.create_index("ix_type_installations_name", "type_installations", ["name", "id"])
    op.create_table(
        "type_heads",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("staged_type", sa.Integer),
        sa.Column("staged_rules", sa.Integer),
        sa.Column("file", sa.Text),
        sa.Column("file_type", sa.Integer),
        sa.Column("file_rules", sa.Integer),
        sa.PrimaryKeyConstraint("name", name="pk_type_heads"),
    )
