"""${message}."""

from store.migrate import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

_SCHEMA = """
"""


def upgrade() -> None:
    """${message}."""
    run_sql(_SCHEMA)
