"""What people decided about recommendations, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recommendation_decisions",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("device_id", sa.String(256), nullable=False),
        sa.Column("device_type", sa.String(256), nullable=False),
        sa.Column("failure_mode", sa.String(256), nullable=False),
        sa.Column("is_newest", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("life_cycle", sa.Integer, nullable=False),
        sa.Column("signs", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=True),
        sa.Column("accepted_by", sa.String(200), nullable=True),
        sa.Column("accepted_us", sa.BigInteger, nullable=True),
        sa.Column("action", sa.String(256), nullable=True),
        sa.Column("outcome", sa.String(20), nullable=True),
        sa.Column("command_id", sa.String(500), nullable=True),
        sa.Column("p_fail_7d", sa.Float, nullable=True),
        sa.Column("cost_nothing", sa.Float, nullable=True),
        sa.Column("cost_later", sa.Float, nullable=True),
        sa.Column("cost_now", sa.Float, nullable=True),
        sa.Column("verdict", sa.String(10), nullable=True),
        sa.Column("scored_us", sa.BigInteger, nullable=True),
        sa.Column("cost", sa.Float, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_recommendation_decisions"),
    )
    op.create_index(
        "ix_recommendation_decisions_device_id_failure_mode",
        "recommendation_decisions",
        ["device_id", "failure_mode"],
    )
    op.create_index("ix_recommendation_decisions_verdict", "recommendation_decisions", ["verdict"])
    op.create_index("ix_recommendation_decisions_is_newest", "recommendation_decisions", ["is_newest"])
