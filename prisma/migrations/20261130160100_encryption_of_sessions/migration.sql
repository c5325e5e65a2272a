-- Sessions end in many ways, also on nodes that do not know of devices. Whoever signs out a device expects that it can no
-- longer read, so it ends with its session, in the same transaction.
CREATE FUNCTION end_devices_of_session() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  UPDATE devices SET ended_at = clock_timestamp() WHERE session_id = OLD.id AND ended_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER end_devices_of_session AFTER UPDATE OF ended_at ON "sessions" FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION end_devices_of_session();
CREATE TRIGGER end_devices_of_deleted_session AFTER DELETE ON "sessions" FOR EACH ROW
  WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION end_devices_of_session();
