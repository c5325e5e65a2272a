ALTER TABLE "messages" ADD COLUMN "encrypted" BYTEA;

-- The content cannot be compressed.
ALTER TABLE "messages" ALTER COLUMN "encrypted" SET STORAGE EXTERNAL;

-- Also nodes of an older release, which know nothing of encryption, cannot store a text in an encrypted conversation.
-- All messages of a statement are checked at once, because a statement stores many.
CREATE FUNCTION refuse_new_plaintext() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM new_messages message JOIN conversations ON conversations.id = message.conversation_id
  WHERE message.text IS NOT NULL AND conversations.encryption <> 'NONE';
  IF FOUND THEN
    RAISE EXCEPTION 'a message of an encrypted conversation must not have a text' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER refuse_new_plaintext AFTER INSERT ON "messages" REFERENCING NEW TABLE AS new_messages
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_new_plaintext();

CREATE FUNCTION refuse_edited_plaintext() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM conversations WHERE id = NEW.conversation_id AND encryption <> 'NONE') THEN
    RAISE EXCEPTION 'a message of an encrypted conversation must not have a text' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse_edited_plaintext BEFORE UPDATE OF text ON "messages" FOR EACH ROW
  WHEN (NEW.text IS NOT NULL AND NEW.text IS DISTINCT FROM OLD.text) EXECUTE FUNCTION refuse_edited_plaintext();

-- Nodes of an older release delete messages without knowing of their encrypted content.
CREATE FUNCTION delete_encrypted_content() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  NEW.encrypted := NULL;
  RETURN NEW;
END $$;
CREATE TRIGGER delete_encrypted_content BEFORE UPDATE OF deleted_at ON "messages" FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL AND OLD.encrypted IS NOT NULL)
  EXECUTE FUNCTION delete_encrypted_content();
