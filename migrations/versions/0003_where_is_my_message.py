"""Where is my message: receipts in quarantine, re-drives, the ledger per device and day, duplicates by receipt."""

from store.migrate import run_sql

revision = "0003"
down_revision = "0002"

_QUARANTINE = """
ALTER TABLE quarantine
    ADD COLUMN state       text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'redriven', 'expired')),
    ADD COLUMN held        bigint NOT NULL DEFAULT 0,
    ADD COLUMN unkept      bigint NOT NULL DEFAULT 0,
    ADD COLUMN redriven_at timestamptz,
    ADD COLUMN expired_at  timestamptz;
-- What was set aside before receipts were kept can be looked at, and not be re-driven: its times are not known.
UPDATE quarantine SET held = count, unkept = count;
CREATE INDEX quarantine_topic ON quarantine USING hash (topic);
CREATE INDEX quarantine_last_seen ON quarantine USING brin (last_seen) WITH (autosummarize);
COMMENT ON COLUMN quarantine.held IS 'First receipts that lie here now: rows of quarantine_receipt, and those unkept';
COMMENT ON COLUMN quarantine.unkept IS 'Of those held, the ones whose time was not kept, because too many lie here';
COMMENT ON INDEX quarantine_topic IS 'Hashed: a topic may be longer than a sorted index takes';

CREATE TABLE quarantine_receipt (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine_id bigint NOT NULL,
    received_at   timestamptz NOT NULL,
    source        text NOT NULL,
    device_id     bigint NOT NULL,
    contained     integer NOT NULL,
    rejected      jsonb
);
CREATE INDEX quarantine_receipt_of ON quarantine_receipt (quarantine_id, id);
COMMENT ON TABLE quarantine_receipt IS
    'One row a first receipt of a message in quarantine; no foreign key, which would be asked for each row of poison';
COMMENT ON COLUMN quarantine_receipt.source IS 'The source under which the ledger counted it';
COMMENT ON COLUMN quarantine_receipt.device_id IS 'The device under which the ledger counted it; 0: none is known';
COMMENT ON COLUMN quarantine_receipt.rejected IS
    'NULL: set aside whole. Else the message was accepted, and [entry, device] of its rejected readings stand here';

CREATE TABLE redrive (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine_id bigint,
    reason        text,
    source        text,
    asked_by      text NOT NULL,
    asked_at      timestamptz NOT NULL,
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done')),
    wanted        bigint NOT NULL,
    not_whole     bigint NOT NULL,
    without_time  bigint NOT NULL,
    after_receipt bigint NOT NULL DEFAULT 0,
    last_receipt  bigint NOT NULL,
    taken         bigint NOT NULL DEFAULT 0,
    accepted      bigint NOT NULL DEFAULT 0,
    ignored       bigint NOT NULL DEFAULT 0,
    held_again    bigint NOT NULL DEFAULT 0,
    stored        bigint NOT NULL DEFAULT 0,
    duplicate     bigint NOT NULL DEFAULT 0,
    rejected      bigint NOT NULL DEFAULT 0,
    started_at    timestamptz,
    finished_at   timestamptz,
    CHECK (num_nonnulls(quarantine_id, reason, source) = 1)
);
CREATE INDEX redrive_open ON redrive (id) WHERE state <> 'done';
COMMENT ON TABLE redrive IS 'Settling again what lies in quarantine: asked for here, done by an ingest worker';
COMMENT ON COLUMN redrive.last_receipt IS 'The newest receipt when it was asked for: later ones are not part of it';
"""

_DEVICES = """
ALTER TABLE device_state ADD COLUMN readings_noted bigint DEFAULT 0;
COMMENT ON COLUMN device_state.readings_noted IS
    'Of readings, how many stand in ledger_device_day; the others are those of the day of heard_at';

CREATE TABLE ledger_device_day (
    day         date NOT NULL,
    device_id   bigint NOT NULL,
    worker      text NOT NULL,
    accepted    bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    ignored     bigint NOT NULL DEFAULT 0,
    redelivered bigint NOT NULL DEFAULT 0,
    contained   bigint NOT NULL DEFAULT 0,
    stored      bigint NOT NULL DEFAULT 0,
    duplicate   bigint NOT NULL DEFAULT 0,
    conflicting bigint NOT NULL DEFAULT 0,
    rejected    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, device_id, worker)
) WITH (fillfactor = 80);
CREATE INDEX ledger_device_day_device ON ledger_device_day (device_id, day DESC);
COMMENT ON TABLE ledger_device_day IS
    'The two accounts per device and day of the district. A usual message of the present day (one reading, stored) is '
    'not written here but stands in device_state.readings - readings_noted. Device 0: no device is known';

-- What came before is carried over in one sum a device, on the day after the last minute of the ledger so far. From the
-- day after that one on, minutes and devices agree.
INSERT INTO ledger_device_day (day, device_id, worker, accepted, contained, stored)
SELECT coalesce((SELECT max(minute) FROM ledger_minute)::date, current_date) + 1, device_id, 'opening',
       readings, readings, readings
FROM device_state WHERE readings > 0;
UPDATE device_state SET readings_noted = readings WHERE readings > 0;

CREATE TABLE duplicate_receipt (
    device_id   bigint NOT NULL,
    at          timestamptz NOT NULL,
    digest      bigint NOT NULL,
    received_at timestamptz NOT NULL,
    redelivered boolean NOT NULL
);
CREATE INDEX duplicate_receipt_device ON duplicate_receipt (device_id, received_at);
CREATE INDEX duplicate_receipt_received ON duplicate_receipt USING brin (received_at) WITH (autosummarize);
COMMENT ON TABLE duplicate_receipt IS 'Which stored reading came again, and when; kept as long as the quarantine';
"""


def upgrade() -> None:
    """Add what tells where a message is."""
    for part in (_QUARANTINE, _DEVICES):
        run_sql(part)
