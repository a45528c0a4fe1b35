"""Lighting schedules: when lamps of a district, grid, circuit or site are switched; and assets that are moved."""

from store.migrate import run_sql

revision = "0013"
down_revision = "0012"

_SCHEDULES = """
CREATE TABLE lighting_schedule (
    name       text PRIMARY KEY,
    seasons    jsonb NOT NULL CHECK (jsonb_typeof(seasons) = 'array'),
    author     text NOT NULL,
    reason     text NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE lighting_schedule IS 'When streetlights are switched, by season (季节性开闭灯时间)';
CREATE TABLE lighting_schedule_group (
    scope    text NOT NULL CHECK (scope IN ('district', 'grid', 'circuit', 'site')),
    name     text NOT NULL,
    schedule text NOT NULL REFERENCES lighting_schedule ON DELETE CASCADE,
    PRIMARY KEY (scope, name)
);
CREATE INDEX lighting_schedule_groups ON lighting_schedule_group (schedule);
COMMENT ON TABLE lighting_schedule_group IS 'Whose lamps a schedule applies to; of two, the narrower prevails';
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON lighting_schedule
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON lighting_schedule_group
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();
"""

# Where an asset stands decides when the sun rises on it. Of a thousand assets imported as they are, nothing is told.
_MOVED = """
CREATE FUNCTION notify_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM new_asset n JOIN old_asset o ON o.id = n.id
                WHERE (n.longitude, n.latitude) IS DISTINCT FROM (o.longitude, o.latitude)) THEN
        PERFORM pg_notify('streetwarden_registry', TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER asset_moved AFTER UPDATE ON asset REFERENCING OLD TABLE AS old_asset NEW TABLE AS new_asset
    FOR EACH STATEMENT EXECUTE FUNCTION notify_moved();
"""


def upgrade() -> None:
    """Add the schedules, and what tells of moved assets."""
    run_sql(_SCHEDULES)
    run_sql(_MOVED)
