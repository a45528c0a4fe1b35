"""Several workers: the sessions that the broker keeps for us, and which outages were made an alert."""

from store.migrate import run_sql

revision = "0004"
down_revision = "0003"

_WORKERS = """
CREATE TABLE worker_session (
    client_id     text PRIMARY KEY,
    shared        boolean NOT NULL,
    filters       text[] NOT NULL,
    state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'ended', 'draining')),
    since         timestamptz NOT NULL,
    subscribed_at timestamptz,
    registered_at timestamptz NOT NULL DEFAULT now(),
    seen_at       timestamptz
);
COMMENT ON TABLE worker_session IS
    'Sessions that the broker keeps for us: written before the first connection, removed when the session has ended';
COMMENT ON COLUMN worker_session.filters IS 'Every filter the session may still be subscribed to';
COMMENT ON COLUMN worker_session.state IS
    'active; ended: its worker has ended in good order; draining: takes nothing new, and will be ended at the broker';
COMMENT ON COLUMN worker_session.registered_at IS 'By the clock of the database: when its worker last started';
COMMENT ON COLUMN worker_session.subscribed_at IS 'When its last subscription stood; NULL: never yet';
COMMENT ON COLUMN worker_session.seen_at IS
    'By the clock of the database: when its worker last said that it is connected';

-- A worker of the version before has a session, too, and its own filters: it was alone.
INSERT INTO worker_session (client_id, shared, filters, since, subscribed_at)
SELECT worker, false, '{}', min(since), min(since) FROM coverage GROUP BY worker;

-- What lies there already was never an alert, and is not made one now.
ALTER TABLE outage ADD COLUMN reported boolean NOT NULL DEFAULT true;
ALTER TABLE outage ALTER COLUMN reported SET DEFAULT false;
CREATE INDEX outage_unreported ON outage (id) WHERE NOT reported;
COMMENT ON COLUMN outage.reported IS 'Whether it has been made an alert, or found to be told by one';
"""


def upgrade() -> None:
    """Add the sessions, and the mark on outages."""
    run_sql(_WORKERS)
