"""Room for the secret of a second factor where it is sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite changes no type of a column, and copying the table would take its sessions with it
    op.add_column("accounts", sa.Column("totp_before", sa.Text))
    op.execute("UPDATE accounts SET totp_before = totp")
    op.drop_column("accounts", "totp")
    op.execute("ALTER TABLE accounts RENAME COLUMN totp_before TO totp")
