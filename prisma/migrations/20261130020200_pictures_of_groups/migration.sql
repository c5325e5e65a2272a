-- Like those of users.
CREATE FUNCTION delete_replaced_images() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM attachments WHERE image_of = NEW.id AND NEW.image_url IS DISTINCT FROM 'upload:' || id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_replaced_images AFTER UPDATE OF image_url ON "conversations" FOR EACH ROW
  WHEN (OLD.image_url IS DISTINCT FROM NEW.image_url) EXECUTE FUNCTION delete_replaced_images();
