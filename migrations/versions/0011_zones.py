"""Zones with meters at their inlets and outlets, and what each of their windows came to."""

from store.migrate import run_sql

revision = "0011"
down_revision = "0010"

_ZONES = """
CREATE TABLE zone (
    name          text PRIMARY KEY,
    rule          text NOT NULL,
    note          text,
    members_since timestamptz NOT NULL,
    judged_until  timestamptz,
    look_at       timestamptz NOT NULL,
    run           integer NOT NULL DEFAULT 0,
    run_since     timestamptz,
    firing_since  timestamptz,
    head_device   bigint REFERENCES device,
    removed       boolean NOT NULL DEFAULT false,
    updated_at    timestamptz NOT NULL
);
CREATE INDEX zone_due ON zone (look_at);
COMMENT ON TABLE zone IS 'A part of a network between meters (计量分区); judged by the coordinator';
COMMENT ON COLUMN zone.members_since IS 'Windows that began before its meters were these are not judged';
COMMENT ON COLUMN zone.run IS 'So many judged windows in a row that speak against what is';
COMMENT ON COLUMN zone.head_device IS 'The inlet on which its alert hangs, while one fires';
COMMENT ON COLUMN zone.removed IS 'To be forgotten, once its alert has cleared';

CREATE TABLE zone_member (
    zone      text NOT NULL REFERENCES zone ON DELETE CASCADE,
    device_id bigint NOT NULL REFERENCES device,
    role      text NOT NULL CHECK (role IN ('in', 'out')),
    PRIMARY KEY (zone, device_id)
);

CREATE TABLE zone_balance (
    zone         text NOT NULL REFERENCES zone ON DELETE CASCADE,
    window_start timestamptz NOT NULL,
    window_end   timestamptz NOT NULL,
    inflow_m3    double precision,
    outflow_m3   double precision,
    judged_at    timestamptz NOT NULL,
    PRIMARY KEY (zone, window_start)
);
COMMENT ON COLUMN zone_balance.inflow_m3 IS 'NULL: the window could not be judged, since a meter was missing';
"""


def upgrade() -> None:
    """Add the zones."""
    run_sql(_ZONES)
