-- Nodes of version 0.1.0 know neither drafts nor the changes by which devices learn of their user's own settings. During a
-- rolling upgrade, these triggers act for them. They can be dropped when the upgrade from 0.1.0 is no longer supported.
CREATE FUNCTION delete_drafts_of_account() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM drafts WHERE user_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_drafts_of_account AFTER UPDATE OF deleted_at ON "users" FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION delete_drafts_of_account();
DELETE FROM "drafts" USING "users" WHERE "users".id = "drafts".user_id AND "users".deleted_at IS NOT NULL;

-- Deferred to the commit: by then, a newer node has recorded the change itself, and the lock of a personal log is the last
-- that a transaction takes. The argument is the column with the id of the user.
CREATE FUNCTION log_settings_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  owner uuid := to_jsonb(NEW) ->> TG_ARGV[0];
  number int;
BEGIN
  IF EXISTS (
    SELECT FROM changes WHERE xid = pg_current_xact_id() AND conversation_id = owner AND type = 'SETTINGS'
  ) THEN
    RETURN NULL;
  END IF;
  INSERT INTO personal_logs AS log (user_id, change_seq) VALUES (owner, 1)
  ON CONFLICT (user_id) DO UPDATE SET change_seq = log.change_seq + 1
  RETURNING change_seq INTO number;
  INSERT INTO changes (conversation_id, change_seq, type, subject_id) VALUES (owner, number, 'SETTINGS', owner);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER log_settings_change
  AFTER UPDATE OF username, display_name, bio, avatar_url, service_role ON "users"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.deleted_at IS NULL AND (OLD.username, OLD.display_name, OLD.bio, OLD.avatar_url, OLD.service_role)
    IS DISTINCT FROM (NEW.username, NEW.display_name, NEW.bio, NEW.avatar_url, NEW.service_role))
  EXECUTE FUNCTION log_settings_change('id');
CREATE CONSTRAINT TRIGGER log_settings_change AFTER UPDATE OF availability ON "presences"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.availability <> NEW.availability)
  EXECUTE FUNCTION log_settings_change('user_id');
CREATE CONSTRAINT TRIGGER log_first_settings_change AFTER INSERT ON "presences"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.availability <> 'ONLINE')
  EXECUTE FUNCTION log_settings_change('user_id');
