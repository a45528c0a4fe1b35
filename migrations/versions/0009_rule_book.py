"""The rule book: rules from files and from the API, what was done to each, and what rules in shadow raised."""

from store.migrate import run_sql

revision = "0009"
down_revision = "0008"

_BOOK = """
CREATE TABLE rule (
    key         text PRIMARY KEY,
    device_kind text NOT NULL,
    document    jsonb NOT NULL,
    digest      text NOT NULL,
    source      text NOT NULL CHECK (source IN ('file', 'api', 'command')),
    file        text,
    author      text NOT NULL,
    updated_at  timestamptz NOT NULL,
    FOREIGN KEY (key, digest) REFERENCES rule_revision (key, digest)
);
COMMENT ON TABLE rule IS 'Rules that people wrote; one with the key of a default takes its place';
COMMENT ON COLUMN rule.document IS 'The rule as a rule file tells it, complete';
COMMENT ON COLUMN rule.digest IS 'Of its revision';

CREATE TABLE rule_change (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         text NOT NULL,
    at          timestamptz NOT NULL,
    author      text NOT NULL,
    source      text NOT NULL,
    file        text,
    from_digest text,
    to_digest   text,
    document    jsonb,
    reason      text NOT NULL DEFAULT ''
);
CREATE INDEX rule_change_key ON rule_change (key, id);
COMMENT ON TABLE rule_change IS 'What was done to the rules of the book, in order; rows are never changed';
COMMENT ON COLUMN rule_change.to_digest IS 'NULL: removed, so that a default with this key is in force again';

CREATE TABLE rule_file_entry (
    key    text PRIMARY KEY,
    digest text NOT NULL,
    file   text NOT NULL
);
COMMENT ON TABLE rule_file_entry IS
    'What the files of the rule folder said last: only what they say anew is taken, so that a later change over the '
    'API stands';

CREATE TABLE rule_file_refused (
    file       text PRIMARY KEY,
    since      timestamptz NOT NULL,
    complaints text[] NOT NULL
);
COMMENT ON TABLE rule_file_refused IS 'Files of the rule folder of which nothing is taken, and why';

CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON rule
    FOR EACH STATEMENT EXECUTE FUNCTION notify_registry();

CREATE TABLE shadow_alert (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    device_id      bigint NOT NULL REFERENCES device,
    rule           text NOT NULL,
    onset          timestamptz NOT NULL,
    revision_id    bigint NOT NULL REFERENCES rule_revision,
    severity       smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    peak           smallint NOT NULL CHECK (peak BETWEEN 1 AND 4),
    standing       text NOT NULL DEFAULT 'upheld' CHECK (standing IN ('upheld', 'contradicted')),
    retrospective  boolean NOT NULL DEFAULT false,
    fired_at       timestamptz NOT NULL,
    decided_at     timestamptz NOT NULL,
    cleared_at     timestamptz,
    measure        text,
    value          jsonb,
    reading_at     timestamptz,
    reading_digest bigint,
    PRIMARY KEY (device_id, rule, onset)
);
CREATE UNIQUE INDEX shadow_alert_id ON shadow_alert (id);
CREATE INDEX shadow_alert_rule ON shadow_alert (rule, (-id));
COMMENT ON TABLE shadow_alert IS 'What rules in shadow would have raised: counted, shown to whoever asks, no alert';
"""


def upgrade() -> None:
    """Add the tables."""
    run_sql(_BOOK)
