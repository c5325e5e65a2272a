-- What a message is found by. Nodes write it with the message, in one statement; messages of before are put in by them
-- afterwards, some at a time. No row is written here and none is read: nobody waits for long.
ALTER TABLE "messages" ADD COLUMN "search" TSVECTOR;

-- Whoever changes a text, or takes it away, need not know of it: in the same statement the old one is found no more.
CREATE FUNCTION unindex_message() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  NEW.search := NULL;
  RETURN NEW;
END $$;

CREATE TRIGGER unindex_message BEFORE UPDATE OF text, mentioned_ids, mentions_everyone ON "messages" FOR EACH ROW
WHEN (OLD.search IS NOT NULL AND NEW.search IS NOT DISTINCT FROM OLD.search
      AND (NEW.text, NEW.mentioned_ids, NEW.mentions_everyone)
          IS DISTINCT FROM (OLD.text, OLD.mentioned_ids, OLD.mentions_everyone))
EXECUTE FUNCTION unindex_message();
