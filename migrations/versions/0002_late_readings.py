"""Late readings: which reading contradicts an alert, which ticket a person must look at, and each device's clock."""

from store.migrate import run_sql

revision = "0002"
down_revision = "0001"

_STATEMENTS = """
ALTER TABLE alert ADD COLUMN contradicted_at timestamptz;
ALTER TABLE alert ADD COLUMN contradicted_by_at timestamptz;
ALTER TABLE alert ADD COLUMN contradicted_by_digest bigint;
COMMENT ON COLUMN alert.contradicted_by_at IS
    'Time of the late reading that shows: the stream in order would not have raised this; with its digest, the reading';

ALTER TABLE ticket ADD COLUMN review boolean NOT NULL DEFAULT false;
CREATE INDEX ticket_review ON ticket (id) WHERE review;
COMMENT ON COLUMN ticket.review IS
    'Every alert behind it was contradicted by late readings: it does not resolve by itself, a person decides';

CREATE TABLE device_clock (
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    day       date NOT NULL,
    samples   bigint NOT NULL,
    low_s     double precision NOT NULL,
    high_s    double precision NOT NULL,
    refused   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, day)
) WITH (fillfactor = 70);
COMMENT ON TABLE device_clock IS
    'How far received times lay after the device''s own, a UTC day: the lowest is its clock''s offset and the shortest '
    'way to us. Sampled; refused: those whose time was not believed';
"""


def upgrade() -> None:
    """Add the columns and the table."""
    run_sql(_STATEMENTS)
