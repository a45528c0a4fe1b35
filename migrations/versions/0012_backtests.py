"""Backtests that were asked for over HTTP: what shall be tried, how far it has come, and what was found."""

from store.migrate import run_sql

revision = "0012"
down_revision = "0011"

_BACKTESTS = """
CREATE TABLE backtest (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL,
    body        jsonb NOT NULL,
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    share       double precision NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 1),
    readings    bigint NOT NULL DEFAULT 0,
    started_at  timestamptz,
    beat_at     timestamptz,
    finished_at timestamptz,
    result      jsonb,
    error       text
);
CREATE INDEX backtest_open ON backtest (id) WHERE state IN ('queued', 'running');
COMMENT ON TABLE backtest IS 'Backtests asked for over HTTP, one row each; a process beside the API works them off';
COMMENT ON COLUMN backtest.beat_at IS
    'When whoever works at it last said so; after a minute of silence another begins anew';
"""


def upgrade() -> None:
    """Add the table."""
    run_sql(_BACKTESTS)
