-- Seals over the log, each with the statement that is signed (see store/proof). The last one is where the next
-- begins, and its number is the fence: two who seal at once cannot both write it.

CREATE TABLE daybook.seals (
    number bigint PRIMARY KEY CHECK (number > 0),
    last bigint NOT NULL UNIQUE, -- the position up to which it covers the log, as its statement says
    statement text NOT NULL,
    signature bytea, -- Ed25519 by the key in the statement
    countersignature bytea, -- by the key before, where that is another one
    leaves bytea NOT NULL, -- position and digest of each event: the root is over these
    places bytea NOT NULL -- stream and version of each, so that one that is missing has a name
);

CREATE TRIGGER seals_are_for_ever BEFORE UPDATE OR DELETE OR TRUNCATE ON daybook.seals
    FOR EACH STATEMENT EXECUTE FUNCTION daybook.refuse();

ALTER TABLE daybook.seals ENABLE ALWAYS TRIGGER seals_are_for_ever;
