"""Flapping: alerts that open again and again, since when, and when they count as calm."""

from store.migrate import run_sql

revision = "0010"
down_revision = "0009"

_FLAPPING = """
CREATE TABLE flapping (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    rule      text NOT NULL,
    since     timestamptz NOT NULL,
    calm_at   timestamptz NOT NULL,
    ended_at  timestamptz
);
CREATE UNIQUE INDEX flapping_now ON flapping (device_id, rule) WHERE ended_at IS NULL;
CREATE INDEX flapping_calm ON flapping (calm_at) WHERE ended_at IS NULL;
COMMENT ON TABLE flapping IS 'Rules whose alert for a device opens again and again (抖动); a row each time';
COMMENT ON COLUMN flapping.since IS 'When it was found';
COMMENT ON COLUMN flapping.calm_at IS 'If no other opening comes by then, it is calm';

ALTER TABLE alert ADD COLUMN flapping boolean NOT NULL DEFAULT false;
CREATE INDEX alert_flapping ON alert (device_id, rule) WHERE flapping;
COMMENT ON COLUMN alert.flapping IS
    'One of those that open again and again, while they do; the ticket of such a one does not resolve until it is calm';
"""


def upgrade() -> None:
    """Add the table and the flag."""
    run_sql(_FLAPPING)
