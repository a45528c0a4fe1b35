"""Mutes: why an alert asks for no ticket just now, who says so, and until when."""

from store.migrate import run_sql

revision = "0006"
down_revision = "0005"

_MUTES = """
CREATE TABLE alert_mute (
    alert_id bigint NOT NULL REFERENCES alert (id) ON DELETE CASCADE,
    reason   text NOT NULL
             CHECK (reason IN ('silence', 'maintenance', 'inhibition', 'group_wait', 'incident', 'flapping')),
    source   text NOT NULL,
    since    timestamptz NOT NULL,
    until    timestamptz,
    ended_at timestamptz,
    wanted   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (alert_id, reason, source)
);
CREATE INDEX alert_mute_stands ON alert_mute (alert_id) WHERE ended_at IS NULL;
CREATE INDEX alert_mute_due ON alert_mute (until) WHERE ended_at IS NULL AND until IS NOT NULL;
CREATE INDEX alert_mute_source ON alert_mute (source, reason);
COMMENT ON TABLE alert_mute IS
    'While one stands, its alert is judged and stored as ever, and asks for no ticket; it stands until ended_at is set';
COMMENT ON COLUMN alert_mute.source IS 'Who says so: the number of a silence, of the alert that inhibits, …';
COMMENT ON COLUMN alert_mute.until IS 'When it is to end; NULL: when whoever set it says so';
COMMENT ON COLUMN alert_mute.ended_at IS 'When it ended: under the lock of the device, so that no demand is lost';
COMMENT ON COLUMN alert_mute.wanted IS 'Whether the alert wanted a ticket while this stood';
"""


def upgrade() -> None:
    """Add the mutes."""
    run_sql(_MUTES)
