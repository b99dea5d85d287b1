-- The log. Every event is one row of daybook.events, in the columns of the library that we share its tables
-- and tools with: originator is the stream, originator_version the place in it, topic the event's name,
-- state the stored form as UTF-8 JSON, notification_id the position in the whole log.

CREATE TABLE daybook.events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigserial,
    PRIMARY KEY (originator_id, originator_version)
);

CREATE UNIQUE INDEX events_notification_id_idx ON daybook.events (notification_id);

-- All reference data, without the invoices in between.
CREATE INDEX events_of_reference_data_idx ON daybook.events (notification_id) WHERE topic IN (
    'AccountingPeriodSet', 'LegalEntitySet', 'PaymentTermSet', 'ReferenceDataApplied', 'ReferenceEntryRemoved',
    'SettingsSet', 'TaxTreatmentSet'
);

-- The recorder of the library passes events as an array of these.
CREATE TYPE daybook.stored_event_uuid AS (
    originator_id uuid,
    originator_version bigint,
    topic text,
    state bytea
);

-- The text behind the commitments: written with its event, and the only thing here that can be rubbed out.
CREATE TABLE daybook.personal (
    stream uuid NOT NULL,
    version bigint NOT NULL,
    salt bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (stream, version)
);

-- Which log the positions belong to. A restored log starts a new epoch.
CREATE TABLE daybook.identity (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    log_id uuid NOT NULL,
    epoch integer NOT NULL CHECK (epoch > 0)
);

INSERT INTO daybook.identity (log_id, epoch) VALUES (gen_random_uuid(), 1);

-- Rights are the first fence (the application role may only SELECT and INSERT); this is the second.
CREATE FUNCTION daybook.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is never changed: % on %.% refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER events_are_for_ever BEFORE UPDATE OR DELETE OR TRUNCATE ON daybook.events
    FOR EACH STATEMENT EXECUTE FUNCTION daybook.refuse();

ALTER TABLE daybook.events ENABLE ALWAYS TRIGGER events_are_for_ever;

-- Rubs out the personal text of one stream and nothing else; answers how many events were concerned.
CREATE FUNCTION daybook.erase_personal(of_stream uuid) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH erased AS (DELETE FROM daybook.personal WHERE stream = of_stream RETURNING version)
    SELECT count(*) FROM erased
$$;

REVOKE ALL ON FUNCTION daybook.erase_personal(uuid) FROM PUBLIC;

-- SHA-256 over stream, version, name and state, each after its length in four bytes: an event's link in the chain.
CREATE FUNCTION daybook.digest(stream uuid, version bigint, name text, state bytea) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT encode(sha256(
        int4send(16) || uuid_send(stream) || int4send(8) || int8send(version)
        || int4send(octet_length(name)) || convert_to(name, 'UTF8') || int4send(length(state)) || state
    ), 'hex')
$$;

-- The log as people read it.
CREATE VIEW daybook.log AS
SELECT
    event.notification_id AS position,
    event.originator_id AS stream,
    event.originator_version AS version,
    event.topic AS name,
    stored.form -> 'meta' ->> 'recorded' AS recorded,
    stored.form -> 'meta' -> 'who' ->> 'kind' AS who_kind,
    stored.form -> 'meta' -> 'who' ->> 'id' AS who_id,
    stored.form -> 'meta' ->> 'reason' AS reason,
    stored.form -> 'meta' ->> 'correlation' AS correlation,
    stored.form -> 'data' AS data,
    convert_from(personal.body, 'UTF8') AS personal,
    stored.form -> 'meta' ->> 'prev' AS prev,
    daybook.digest(event.originator_id, event.originator_version, event.topic, event.state) AS digest,
    convert_from(event.state, 'UTF8') AS state
FROM daybook.events AS event
CROSS JOIN LATERAL (SELECT convert_from(event.state, 'UTF8')::json AS form) AS stored
LEFT JOIN daybook.personal AS personal
    ON personal.stream = event.originator_id AND personal.version = event.originator_version;

-- Read models live here; the application role makes and drops their tables as generations come and go.
CREATE SCHEMA IF NOT EXISTS projections;
