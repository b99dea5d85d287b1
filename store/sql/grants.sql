-- What the application role may do: read the log and add to it, never change it. Run as the owner of the log.
GRANT USAGE ON SCHEMA daybook TO {application};
GRANT SELECT, INSERT ON daybook.events, daybook.personal, daybook.seals TO {application};
GRANT SELECT ON daybook.identity, daybook.migrations, daybook.log TO {application};
GRANT USAGE, SELECT ON SEQUENCE daybook.events_notification_id_seq TO {application};
GRANT EXECUTE ON FUNCTION daybook.erase_personal(uuid) TO {application};
GRANT USAGE, CREATE ON SCHEMA projections TO {application};
-- It keeps the views for people there, over the read models as they come and go.
GRANT CREATE ON SCHEMA daybook TO {application};
