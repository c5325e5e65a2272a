-- The same as log_settings_change of the previous migration, for nodes of version 0.1.0 that store the new email address of a
-- token from an identity provider. An empty address means that the account is being deleted.
CREATE CONSTRAINT TRIGGER log_settings_change AFTER UPDATE OF email ON "outside_identities"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.email <> NEW.email AND NEW.email <> '')
  EXECUTE FUNCTION log_settings_change('user_id');
