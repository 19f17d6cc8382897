"""Who is told of alerts: channels and routes, whom there is to tell of what, deliveries, and how far journals were read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notification_channels",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("enabled", sa.Boolean(name="enabled"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notification_channels"),
    )
    op.create_table(
        "notification_routes",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean(name="enabled"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notification_routes"),
    )
    op.create_table(
        "notices",
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("alert", sa.String(600), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("thing", sa.String(600), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("counted_us", sa.BigInteger),
        sa.Column("closed_us", sa.BigInteger),
        sa.Column("delivery", sa.String(32)),
        sa.Column("facts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("route", "alert", "round", "step", name="pk_notices"),
    )
    op.create_index("ix_notices_alert", "notices", ["alert"])
    op.create_index("ix_notices_thing", "notices", ["thing", "route"])
    op.create_index("ix_notices_state_due_us", "notices", ["state", "due_us"])
    op.create_index("ix_notices_route_step_counted_us", "notices", ["route", "step", "counted_us"])
    op.create_table(
        "notification_floods",
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("said_us", sa.BigInteger, nullable=False),
        sa.Column("worst", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("route", "step", name="pk_notification_floods"),
    )
    op.create_table(
        "deliveries",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("alert", sa.String(600), nullable=False),
        sa.Column("told", sa.String(32), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("said", sa.String(300), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_deliveries"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
    )
    op.create_index("ix_deliveries_state_channel_due_us", "deliveries", ["state", "channel", "due_us"])
    op.create_index("ix_deliveries_told", "deliveries", ["told"])
    op.create_table(
        "notification_cursors",
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("actor", name="pk_notification_cursors"),
    )
