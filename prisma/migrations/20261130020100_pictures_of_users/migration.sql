-- Whatever replaces the picture of a user, also a node of an older release or the deletion of the account, deletes the
-- uploaded ones, and with them their bytes.
CREATE FUNCTION delete_replaced_avatars() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM attachments WHERE avatar_of = NEW.id AND NEW.avatar_url IS DISTINCT FROM 'upload:' || id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_replaced_avatars AFTER UPDATE OF avatar_url ON "users" FOR EACH ROW
  WHEN (OLD.avatar_url IS DISTINCT FROM NEW.avatar_url) EXECUTE FUNCTION delete_replaced_avatars();
