"""Silences and maintenance windows that people order, and the crews that have checked in."""

from store.migrate import run_sql

revision = "0008"
down_revision = "0007"

_SILENCES = """
CREATE TABLE silence (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sort        text NOT NULL CHECK (sort IN ('silence', 'maintenance')),
    device_id   bigint REFERENCES device,
    asset_id    bigint REFERENCES asset,
    model       text,
    owner       text,
    grid        text,
    circuit     text,
    site        text,
    device_kind text,
    rule        text,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    author      text NOT NULL,
    reason      text NOT NULL,
    crew        text,
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    ended_by    text,
    changed_at  timestamptz NOT NULL,
    sweep_due   timestamptz,
    CHECK (ends_at > starts_at),
    CHECK (num_nonnulls(device_id, asset_id, model, owner, grid, circuit, site, device_kind, rule) > 0)
);
CREATE INDEX silence_ends ON silence (ends_at);
CREATE INDEX silence_sweep ON silence (sweep_due) WHERE sweep_due IS NOT NULL;
CREATE INDEX silence_asset ON silence (asset_id) WHERE asset_id IS NOT NULL;
COMMENT ON TABLE silence IS 'Silences (静默) and maintenance (维护): whose alerts ask for no ticket, from when to when';
COMMENT ON COLUMN silence.sort IS
    'maintenance without a rule concerns only alerts whose rule is hushed at work: a crew must hear of gas';
COMMENT ON COLUMN silence.crew IS 'Who is at work, where a crew has checked in (到场签到)';
COMMENT ON COLUMN silence.ended_at IS 'When a person ended it before its time';
COMMENT ON COLUMN silence.changed_at IS 'When it was made, prolonged or ended';
COMMENT ON COLUMN silence.sweep_due IS
    'When to look for alerts that fire already, or are muted although it has ended; NULL: no more';
"""


def upgrade() -> None:
    """Add the silences."""
    run_sql(_SILENCES)
