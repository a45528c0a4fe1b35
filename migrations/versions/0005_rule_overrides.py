"""Groups of assets (site, circuit), and what a model, owner, grid, circuit or site sets differently in a rule."""

from store.migrate import run_sql

revision = "0005"
down_revision = "0004"

_GROUPS = """
ALTER TABLE asset ADD COLUMN site text, ADD COLUMN circuit text;
COMMENT ON COLUMN asset.site IS 'The place it stands at with others (场所)';
COMMENT ON COLUMN asset.circuit IS 'The feeder it hangs on (回路)';
CREATE INDEX asset_site ON asset (site) WHERE site IS NOT NULL;
CREATE INDEX asset_circuit ON asset (circuit) WHERE circuit IS NOT NULL;

CREATE TABLE rule_override (
    scope      text NOT NULL CHECK (scope IN ('model', 'owner', 'grid', 'circuit', 'site')),
    name       text NOT NULL,
    rule       text NOT NULL,
    parameters jsonb NOT NULL CHECK (jsonb_typeof(parameters) = 'object'),
    author     text NOT NULL,
    reason     text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (scope, name, rule)
);
COMMENT ON TABLE rule_override IS
    'Where a model or a group of devices departs from a rule; a single device''s own lie in device.overrides';
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON rule_override
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();
"""

# What judges a device follows from its model and from its asset's groups: the ticker looks at whoever changes one.
# Timers are locked in the order of the devices, as everywhere.
_LOOKS = """
DROP TRIGGER device_changed ON device;
CREATE TRIGGER device_changed AFTER UPDATE ON device FOR EACH ROW
    WHEN (OLD.interval_s IS DISTINCT FROM NEW.interval_s OR OLD.life_cycle <> NEW.life_cycle
          OR OLD.overrides <> NEW.overrides OR OLD.model IS DISTINCT FROM NEW.model)
    EXECUTE FUNCTION look_at_device();

CREATE FUNCTION look_at_group() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    one rule_override := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO device_timer (device_id, silence_due)
    SELECT d.id, '-infinity'
      FROM device d
      LEFT JOIN fitting f ON f.device_id = d.id AND f.fitted_until IS NULL
      LEFT JOIN asset a ON a.id = f.asset_id
     WHERE one.name = CASE one.scope WHEN 'model' THEN d.model WHEN 'owner' THEN a.owner WHEN 'grid' THEN a.unit_grid
                                     WHEN 'circuit' THEN a.circuit WHEN 'site' THEN a.site END
     ORDER BY d.id
    ON CONFLICT (device_id) DO UPDATE SET silence_due = '-infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER override_changed AFTER INSERT OR UPDATE OR DELETE ON rule_override
    FOR EACH ROW EXECUTE FUNCTION look_at_group();

CREATE FUNCTION look_at_regrouped() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved bigint[] := ARRAY(
        SELECT n.id FROM new_asset n JOIN old_asset o ON o.id = n.id
         WHERE (n.owner, n.unit_grid, n.circuit, n.site) IS DISTINCT FROM (o.owner, o.unit_grid, o.circuit, o.site));
BEGIN
    IF cardinality(moved) = 0 THEN
        RETURN NULL;
    END IF;
    PERFORM pg_notify('streetwarden_registry', TG_TABLE_NAME);
    INSERT INTO device_timer (device_id, silence_due)
    SELECT f.device_id, '-infinity' FROM fitting f
     WHERE f.asset_id = ANY (moved) AND f.fitted_until IS NULL AND EXISTS (SELECT FROM rule_override)
     ORDER BY f.device_id
    ON CONFLICT (device_id) DO UPDATE SET silence_due = '-infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER asset_regrouped AFTER UPDATE ON asset REFERENCING OLD TABLE AS old_asset NEW TABLE AS new_asset
    FOR EACH STATEMENT EXECUTE FUNCTION look_at_regrouped();

CREATE FUNCTION look_at_fitted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO device_timer (device_id, silence_due)
    SELECT DISTINCT t.device_id, '-infinity'::timestamptz
      FROM touched_fitting t JOIN asset a ON a.id = t.asset_id
     WHERE EXISTS (SELECT FROM rule_override o
                    WHERE (o.scope, o.name) IN (('owner', a.owner), ('grid', a.unit_grid), ('circuit', a.circuit),
                                                ('site', a.site)))
     ORDER BY t.device_id
    ON CONFLICT (device_id) DO UPDATE SET silence_due = '-infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER fitting_begun AFTER INSERT ON fitting REFERENCING NEW TABLE AS touched_fitting
    FOR EACH STATEMENT EXECUTE FUNCTION look_at_fitted();
CREATE TRIGGER fitting_changed AFTER UPDATE ON fitting REFERENCING NEW TABLE AS touched_fitting
    FOR EACH STATEMENT EXECUTE FUNCTION look_at_fitted();
"""


def upgrade() -> None:
    """Add the groups, their overrides, and the looks that follow a change."""
    run_sql(_GROUPS)
    run_sql(_LOOKS)
