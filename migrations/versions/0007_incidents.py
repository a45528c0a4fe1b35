"""Incidents: alerts of several devices with one cause, what of them stands, and how far the coordinator has read."""

from store.migrate import run_sql

revision = "0007"
down_revision = "0006"

_INCIDENTS = """
CREATE SEQUENCE incident_id AS bigint;

CREATE TABLE incident (
    id           bigint PRIMARY KEY DEFAULT nextval('incident_id'),
    rule         text NOT NULL,
    name         text NOT NULL,
    part         text NOT NULL DEFAULT '',
    state        text NOT NULL CHECK (state IN ('open', 'closed')),
    severity     smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    lead_alert   bigint NOT NULL REFERENCES alert (id),
    lead_device  bigint NOT NULL REFERENCES device,
    head_alert   bigint REFERENCES alert (id),
    onset        timestamptz NOT NULL,
    opened_at    timestamptz NOT NULL,
    decided_at   timestamptz NOT NULL,
    closed_at    timestamptz,
    alerts       integer NOT NULL DEFAULT 0,
    firing       integer NOT NULL DEFAULT 0,
    size         integer NOT NULL DEFAULT 0,
    simulated    boolean NOT NULL DEFAULT false,
    changed      xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX incident_list ON incident (state, (-id));
CREATE INDEX incident_open ON incident (rule, name, part) WHERE state = 'open';
CREATE INDEX incident_head ON incident (head_alert);
COMMENT ON TABLE incident IS 'Alerts of several devices that have one cause (关联事件)';
COMMENT ON COLUMN incident.name IS 'The circuit, site or grid; empty where nearness alone makes the group';
COMMENT ON COLUMN incident.part IS 'The device kind, where the rule tells kinds apart';
COMMENT ON COLUMN incident.lead_alert IS 'The first that counted: the incident hangs on its device';
COMMENT ON COLUMN incident.head_alert IS 'The incident''s own alert, which has its ticket';
COMMENT ON COLUMN incident.size IS 'Devices of the group when it opened; 0 where nobody counts them';

ALTER TABLE alert ADD COLUMN incident_id bigint REFERENCES incident;
CREATE INDEX alert_incident ON alert (incident_id) WHERE incident_id IS NOT NULL;
COMMENT ON COLUMN alert.incident_id IS 'The incident that it is part of, or was last';

CREATE TABLE group_alert (
    alert_id    bigint NOT NULL REFERENCES alert (id) ON DELETE CASCADE,
    rule        text NOT NULL,
    name        text NOT NULL,
    part        text NOT NULL,
    device_id   bigint NOT NULL,
    kind        text NOT NULL,
    member_rule text NOT NULL,
    fired_at    timestamptz NOT NULL,
    interval_s  double precision NOT NULL,
    circuit     text,
    site        text,
    grid        text,
    longitude   double precision,
    latitude    double precision,
    incident_id bigint REFERENCES incident,
    hidden      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (alert_id, rule)
);
CREATE INDEX group_alert_place ON group_alert (rule, name, part);
COMMENT ON TABLE group_alert IS
    'The coordinator''s memory: the alerts that fire in each group, as of the place where its cursor stands';
COMMENT ON COLUMN group_alert.incident_id IS 'NULL: it belongs to none, and may still make one';

CREATE TABLE coordinator (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    changed  xid8 NOT NULL,
    alert_id bigint NOT NULL,
    leader   text NOT NULL,
    since    timestamptz NOT NULL
);
COMMENT ON TABLE coordinator IS
    'How far alerts were read, in the order of their transactions; written with what was decided of them';
"""


def upgrade() -> None:
    """Add the incidents."""
    run_sql(_INCIDENTS)
