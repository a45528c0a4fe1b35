"""The first schema: registry, readings, state, alerts, tickets, quarantine, ledger, delivery bookkeeping, keys."""

from store.migrate import run_sql

revision = "0001"
down_revision = None

_REGISTRY = """
CREATE TABLE asset (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    kind           text NOT NULL,
    district       text NOT NULL CHECK (district ~ '^[0-9]{6}$'),
    component_code text CHECK (component_code ~ '^[0-9]{16}$'),
    unit_grid      text CHECK (unit_grid ~ '^[0-9]{15}$'),
    longitude      double precision CHECK (longitude BETWEEN -180 AND 180),
    latitude       double precision CHECK (latitude BETWEEN -90 AND 90),
    source_datum   text NOT NULL DEFAULT 'wgs84',
    address        text,
    owner          text,
    keeper         text,
    attributes     jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);
COMMENT ON TABLE asset IS 'A component (部件) of the city; position in WGS-84/CGCS2000 degrees';
CREATE UNIQUE INDEX asset_component_code ON asset (component_code) WHERE component_code IS NOT NULL;

CREATE TABLE device (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    kind       text NOT NULL,
    district   text NOT NULL CHECK (district ~ '^[0-9]{6}$'),
    life_cycle text NOT NULL DEFAULT 'in_service'
               CHECK (life_cycle IN ('registered', 'in_service', 'suspended', 'retired')),
    model      text,
    interval_s double precision CHECK (interval_s > 0),
    fields     jsonb NOT NULL DEFAULT '{}',
    overrides  jsonb NOT NULL DEFAULT '{}',
    simulated  boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX device_real ON device (id) WHERE NOT simulated;

CREATE TABLE device_alias (
    source    text NOT NULL,
    alias     text NOT NULL,
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    PRIMARY KEY (source, alias)
);
CREATE INDEX device_alias_device ON device_alias (device_id);
COMMENT ON TABLE device_alias IS 'How each source names a device: the topic''s name, a devEUI, a URN';

CREATE TABLE fitting (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id    bigint NOT NULL REFERENCES device,
    asset_id     bigint NOT NULL REFERENCES asset,
    fitted_from  timestamptz NOT NULL,
    fitted_until timestamptz CHECK (fitted_until >= fitted_from)
);
CREATE UNIQUE INDEX fitting_current ON fitting (device_id) WHERE fitted_until IS NULL;
CREATE INDEX fitting_asset ON fitting (asset_id);
COMMENT ON TABLE fitting IS 'Which device sat on which asset from when to when';

CREATE FUNCTION notify_registry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('streetwarden_registry', TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON device
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON device_alias
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON fitting
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();

CREATE TABLE rule_revision (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text NOT NULL,
    digest     text NOT NULL,
    body       jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (key, digest)
);
COMMENT ON TABLE rule_revision IS 'Every form a rule has ever had; an alert names the one that raised it';
"""

_STREAM = """
CREATE TABLE reading (
    device_id   bigint NOT NULL,
    at          timestamptz NOT NULL,
    digest      bigint NOT NULL,
    received_at timestamptz NOT NULL,
    measures    jsonb NOT NULL,
    flags       jsonb,
    extra       jsonb,
    seq         bigint,
    PRIMARY KEY (device_id, at, digest)
) PARTITION BY RANGE (at);
COMMENT ON TABLE reading IS
    'One row a reading; (device, at, digest) is its identity. One partition a UTC day, made by the service';

CREATE TABLE device_state (
    device_id   bigint PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    last_at     timestamptz,
    last_digest bigint,
    heard_at    timestamptz,
    source      text,
    measures    jsonb NOT NULL DEFAULT '{}',
    tracks      jsonb,
    readings    bigint NOT NULL DEFAULT 0,
    late        bigint NOT NULL DEFAULT 0,
    seq         bigint,
    missed      bigint NOT NULL DEFAULT 0,
    online      boolean,
    online_at   timestamptz
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE device_state IS
    'The present of each device and the state of its rules: no column of it is indexed but the key, so that every '
    'update stays on its page (HOT)';

COMMENT ON COLUMN device_state.missed IS 'Numbers of the device''s own counter that were skipped and never came';

CREATE TABLE device_timer (
    device_id   bigint PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    hold_due    timestamptz,
    silence_due timestamptz
) WITH (fillfactor = 70);
CREATE INDEX device_timer_hold ON device_timer (hold_due) WHERE hold_due IS NOT NULL;
CREATE INDEX device_timer_silence ON device_timer (silence_due) WHERE silence_due IS NOT NULL;
COMMENT ON TABLE device_timer IS
    'When the ticker must look at a device; lazy: written only to make a look earlier, or by the look itself';

-- '-infinity': the ticker looks at once and then sets the time exactly.
CREATE FUNCTION look_at_device() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO device_timer (device_id, silence_due) VALUES (NEW.id, '-infinity')
    ON CONFLICT (device_id) DO UPDATE SET silence_due = '-infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER device_changed AFTER UPDATE ON device FOR EACH ROW
    WHEN (OLD.interval_s IS DISTINCT FROM NEW.interval_s OR OLD.life_cycle <> NEW.life_cycle
          OR OLD.overrides <> NEW.overrides)
    EXECUTE FUNCTION look_at_device();

CREATE TABLE device_event (
    device_id   bigint NOT NULL,
    at          timestamptz NOT NULL,
    digest      bigint NOT NULL,
    received_at timestamptz NOT NULL,
    class       text NOT NULL,
    body        jsonb NOT NULL,
    PRIMARY KEY (device_id, at, digest)
);
"""

_CASES = """
CREATE SEQUENCE ticket_id AS bigint;

CREATE TABLE ticket (
    id          bigint PRIMARY KEY DEFAULT nextval('ticket_id'),
    number      text NOT NULL UNIQUE,
    sort        text NOT NULL CHECK (sort IN ('case', 'maintenance')),
    case_class  text NOT NULL,
    asset_id    bigint NOT NULL REFERENCES asset,
    district    text NOT NULL,
    title       text NOT NULL,
    title_zh    text NOT NULL,
    severity    smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    state       text NOT NULL CHECK (state IN ('open', 'resolved')),
    firing      integer NOT NULL,
    alerts      integer NOT NULL,
    opened_at   timestamptz NOT NULL,
    touched_at  timestamptz NOT NULL,
    resolved_at timestamptz,
    simulated   boolean NOT NULL DEFAULT false,
    changed     xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX ticket_list ON ticket (state, severity, (-id));
CREATE INDEX ticket_asset ON ticket (asset_id);
CREATE INDEX ticket_changed ON ticket (changed);
COMMENT ON COLUMN ticket.firing IS 'Alerts behind it that have not cleared; at 0 the ticket resolves';

CREATE TABLE ticket_subject (
    asset_id   bigint NOT NULL REFERENCES asset,
    case_class text NOT NULL,
    ticket_id  bigint NOT NULL REFERENCES ticket DEFERRABLE INITIALLY DEFERRED,
    open       boolean NOT NULL DEFAULT true
);
CREATE UNIQUE INDEX ticket_subject_open ON ticket_subject (asset_id, case_class) WHERE open;
CREATE INDEX ticket_subject_ticket ON ticket_subject (ticket_id);
COMMENT ON INDEX ticket_subject_open IS 'The promise: one open ticket for an asset and a case class';

CREATE TABLE ticket_move (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES ticket,
    at        timestamptz NOT NULL,
    move      text NOT NULL,
    by        text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ticket_move_ticket ON ticket_move (ticket_id, id);
COMMENT ON TABLE ticket_move IS 'What was done to a ticket, in order; rows are never changed';

CREATE TABLE ticket_serial (
    district text NOT NULL,
    day      date NOT NULL,
    serial   integer NOT NULL,
    PRIMARY KEY (district, day)
);

CREATE TABLE alert (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    device_id       bigint NOT NULL REFERENCES device,
    rule            text NOT NULL,
    onset           timestamptz NOT NULL,
    revision_id     bigint NOT NULL REFERENCES rule_revision,
    asset_id        bigint REFERENCES asset,
    ticket_id       bigint REFERENCES ticket,
    severity        smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    peak            smallint NOT NULL CHECK (peak BETWEEN 1 AND 4),
    state           text NOT NULL CHECK (state IN ('firing', 'cleared')),
    standing        text NOT NULL DEFAULT 'upheld' CHECK (standing IN ('upheld', 'contradicted')),
    retrospective   boolean NOT NULL DEFAULT false,
    fired_at        timestamptz NOT NULL,
    decided_at      timestamptz NOT NULL,
    cleared_at      timestamptz,
    measure         text,
    value           jsonb,
    reading_at      timestamptz,
    reading_digest  bigint,
    acknowledged_at timestamptz,
    acknowledged_by text,
    owner           text,
    note            text,
    simulated       boolean NOT NULL DEFAULT false,
    changed         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (device_id, rule, onset)
);
CREATE UNIQUE INDEX alert_id ON alert (id);
CREATE INDEX alert_list ON alert ((acknowledged_at IS NOT NULL), severity, (-id));
CREATE INDEX alert_firing ON alert ((acknowledged_at IS NOT NULL), severity, (-id)) WHERE state = 'firing';
CREATE INDEX alert_changed ON alert (changed);
CREATE INDEX alert_ticket ON alert (ticket_id) WHERE ticket_id IS NOT NULL;
COMMENT ON COLUMN alert.onset IS 'Event time at which the condition began; with device and rule, the identity';
COMMENT ON COLUMN alert.changed IS
    'Transaction of the last change: a reader who remembers the oldest one still running misses nothing';

CREATE TABLE alert_event (
    device_id      bigint NOT NULL,
    rule           text NOT NULL,
    onset          timestamptz NOT NULL,
    at             timestamptz NOT NULL,
    step           text NOT NULL,
    severity       smallint NOT NULL,
    measure        text,
    value          jsonb,
    reading_at     timestamptz,
    reading_digest bigint,
    decided_at     timestamptz NOT NULL,
    by             text,
    note           text
);
CREATE INDEX alert_event_alert ON alert_event (device_id, rule, onset);
CREATE INDEX alert_event_decided ON alert_event USING brin (decided_at) WITH (autosummarize);
COMMENT ON TABLE alert_event IS 'Every step of every alert, in the order decided; rows are never changed';

CREATE TABLE outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at      timestamptz NOT NULL,
    topic   text NOT NULL,
    body    jsonb NOT NULL
);
COMMENT ON TABLE outbox IS
    'What changed, for whoever must be told; committed with the change itself, read in commit order by (changed, id)';
"""

_DELIVERY = """
CREATE TABLE quarantine (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity   bytea NOT NULL,
    reason     text NOT NULL,
    source     text NOT NULL,
    topic      text NOT NULL,
    payload    bytea NOT NULL,
    size       integer NOT NULL,
    detail     text NOT NULL,
    properties jsonb,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    count      bigint NOT NULL,
    UNIQUE (identity, reason)
);
CREATE INDEX quarantine_reason ON quarantine (reason, id DESC);
COMMENT ON COLUMN quarantine.identity IS 'SHA-256 of topic, zero byte, whole payload';
COMMENT ON COLUMN quarantine.payload IS 'The first 64 KiB';

CREATE TABLE ledger_minute (
    minute         timestamptz NOT NULL,
    source         text NOT NULL,
    worker         text NOT NULL,
    accepted       bigint NOT NULL DEFAULT 0,
    quarantined    bigint NOT NULL DEFAULT 0,
    ignored        bigint NOT NULL DEFAULT 0,
    redelivered    bigint NOT NULL DEFAULT 0,
    contained      bigint NOT NULL DEFAULT 0,
    stored         bigint NOT NULL DEFAULT 0,
    duplicate      bigint NOT NULL DEFAULT 0,
    conflicting    bigint NOT NULL DEFAULT 0,
    rejected       bigint NOT NULL DEFAULT 0,
    unknown_values bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, source, worker)
);
COMMENT ON TABLE ledger_minute IS
    'Two accounts. Deliveries: delivered = accepted + quarantined + ignored + redelivered. Readings inside accepted '
    'messages: contained = stored + duplicate + conflicting + rejected. Minute of first receipt';

CREATE TABLE worker_commit (
    worker text PRIMARY KEY,
    token  bigint NOT NULL,
    at     timestamptz NOT NULL
);
COMMENT ON TABLE worker_commit IS
    'Token of each worker''s last batch: tells whether a COMMIT whose answer was lost happened';

CREATE TABLE coverage (
    source text NOT NULL,
    worker text NOT NULL,
    since  timestamptz NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (source, worker)
);
COMMENT ON TABLE coverage IS 'The present unbroken stretch of our own heartbeats, per source';

CREATE TABLE outage (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    worker text NOT NULL,
    cause  text NOT NULL,
    began  timestamptz NOT NULL,
    ended  timestamptz NOT NULL
);
COMMENT ON TABLE outage IS 'Times in which nothing could reach us: heartbeats missing, or a session the broker forgot';

CREATE TABLE unconfirmed_delivery (
    client_id   text NOT NULL,
    packet_id   integer NOT NULL,
    digest      bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, packet_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE unconfirmed_delivery IS
    'First received times of messages without a time of their own, should the broker deliver them again';

CREATE TABLE api_key (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    role       text NOT NULL,
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
COMMENT ON COLUMN api_key.secret IS 'SHA-256 of a 256-bit random secret; the secret itself is nowhere';
"""


def upgrade() -> None:
    """Create everything."""
    for part in (_REGISTRY, _STREAM, _CASES, _DELIVERY):
        run_sql(part)
