CREATE TYPE "Encryption" AS ENUM ('NONE', 'END_TO_END');

ALTER TABLE "conversations" ADD COLUMN "encryption" "Encryption" NOT NULL DEFAULT 'NONE',
ADD COLUMN "group_epoch" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN "group_generation" INTEGER NOT NULL DEFAULT 0,
ADD CONSTRAINT "conversations_encrypted_are_private" CHECK ("encryption" = 'NONE' OR "visibility" = 'PRIVATE') NOT VALID;

ALTER TABLE "group_states" ADD CONSTRAINT "group_states_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "group_commits" ADD CONSTRAINT "group_commits_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "group_devices" ADD CONSTRAINT "group_devices_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "sealed_keys" ADD CONSTRAINT "sealed_keys_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Whoever writes in an encrypted conversation relies on it for as long as the conversation exists.
CREATE FUNCTION keep_encryption() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the encryption of a conversation cannot be taken back' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER keep_encryption BEFORE UPDATE OF encryption ON "conversations" FOR EACH ROW
  WHEN (OLD.encryption <> 'NONE' AND NEW.encryption IS DISTINCT FROM OLD.encryption) EXECUTE FUNCTION keep_encryption();
