-- CreateTable
CREATE TABLE "summaries" (
    "id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "from_seq" INTEGER NOT NULL,
    "to_seq" INTEGER NOT NULL,
    "recipe" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "written" BOOLEAN NOT NULL,
    "depth" INTEGER NOT NULL DEFAULT 0,
    "message_count" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "highlights" JSONB NOT NULL,
    "stale" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "summaries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "summary_parts" (
    "conversation_id" UUID NOT NULL,
    "recipe" TEXT NOT NULL,
    "from_seq" INTEGER NOT NULL,
    "to_seq" INTEGER NOT NULL,
    "notes" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "summary_parts_pkey" PRIMARY KEY ("conversation_id","recipe","from_seq","to_seq")
);

-- CreateTable
CREATE TABLE "summary_runs" (
    "conversation_id" UUID NOT NULL,
    "recipe" TEXT NOT NULL,
    "from_seq" INTEGER NOT NULL,
    "to_seq" INTEGER NOT NULL,
    "id" UUID NOT NULL,
    "claimed_until" TIMESTAMPTZ(3) NOT NULL,
    "done" INTEGER NOT NULL DEFAULT 0,
    "total" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "summary_runs_pkey" PRIMARY KEY ("conversation_id","recipe","from_seq","to_seq")
);

-- CreateTable
CREATE TABLE "summary_costs" (
    "user_id" UUID NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "tokens" INTEGER NOT NULL,

    CONSTRAINT "summary_costs_pkey" PRIMARY KEY ("user_id")
);

-- CreateIndex
CREATE INDEX "summaries_conversation_id_created_at_id_idx" ON "summaries"("conversation_id", "created_at", "id");

-- AddForeignKey
ALTER TABLE "summaries" ADD CONSTRAINT "summaries_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "summary_parts" ADD CONSTRAINT "summary_parts_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "summary_runs" ADD CONSTRAINT "summary_runs_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "summary_costs" ADD CONSTRAINT "summary_costs_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Prisma knows no index on some of the rows.
CREATE UNIQUE INDEX "summaries_range_key" ON "summaries" ("conversation_id", "from_seq", "to_seq", "recipe") WHERE NOT stale;

-- What a message said is gone from all that was made of it, whoever changes it and however. A text that quotes loses its
-- quotes; of a text that was written nobody can say what in it comes from the message.
CREATE FUNCTION forget_summarized() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM summary_parts
  WHERE conversation_id = OLD.conversation_id AND from_seq <= OLD.seq AND to_seq >= OLD.seq;
  UPDATE summaries
  SET stale = true, text = '',
      highlights = CASE WHEN written THEN '[]'::jsonb ELSE (
        SELECT coalesce(jsonb_agg(highlight ORDER BY n), '[]'::jsonb)
        FROM jsonb_array_elements(highlights) WITH ORDINALITY AS each (highlight, n)
        WHERE NOT highlight->'seqs' @> to_jsonb(OLD.seq)
      ) END
  WHERE conversation_id = OLD.conversation_id AND from_seq <= OLD.seq AND to_seq >= OLD.seq;
  RETURN NULL;
END $$;

CREATE TRIGGER forget_summarized AFTER UPDATE OF text ON "messages"
FOR EACH ROW WHEN (OLD.text IS DISTINCT FROM NEW.text) EXECUTE FUNCTION forget_summarized();
CREATE TRIGGER forget_summarized_with_message AFTER DELETE ON "messages"
FOR EACH ROW EXECUTE FUNCTION forget_summarized();
