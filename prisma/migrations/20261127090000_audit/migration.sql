-- CreateTable
CREATE TABLE "audit_entries" (
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "action" TEXT NOT NULL,
    "refused" BOOLEAN NOT NULL DEFAULT false,
    "actor_id" UUID,
    "session_id" UUID,
    "subject_id" UUID,
    "conversation_id" UUID,
    "address" TEXT,
    "request_id" TEXT,
    "count" INTEGER NOT NULL DEFAULT 1,
    "details" JSONB NOT NULL DEFAULT '[]',

    CONSTRAINT "audit_entries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "seen_settings" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "settings" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "seen_settings_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "audit_entries_at_id_idx" ON "audit_entries"("at", "id");

-- CreateIndex
CREATE INDEX "audit_entries_actor_id_at_id_idx" ON "audit_entries"("actor_id", "at", "id");

-- CreateIndex
CREATE INDEX "audit_entries_subject_id_at_id_idx" ON "audit_entries"("subject_id", "at", "id");

-- CreateIndex
CREATE INDEX "audit_entries_conversation_id_at_id_idx" ON "audit_entries"("conversation_id", "at", "id");

-- CreateIndex
CREATE INDEX "audit_entries_action_at_id_idx" ON "audit_entries"("action", "at", "id");

-- CreateIndex
CREATE INDEX "audit_entries_address_at_id_idx" ON "audit_entries"("address", "at", "id");

-- What was put down stays as it was: for each statement, so that one which finds no row is refused as well.
CREATE FUNCTION refuse_audit_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('parley.audit_trim', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'audit_entries is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_entries"
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Whoever sets what the trim sets still takes away nothing of the last 30 days, and only from the old end: nobody picks
-- entries. And it is put down.
CREATE FUNCTION check_audit_trim() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  newest TIMESTAMPTZ := (SELECT max(at) FROM gone);
BEGIN
  IF newest IS NULL THEN
    RETURN NULL;
  END IF;
  IF newest > clock_timestamp() - interval '30 days' THEN
    RAISE EXCEPTION 'audit_entries are kept for 30 days at least' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF EXISTS (SELECT FROM audit_entries WHERE at < newest) THEN
    RAISE EXCEPTION 'audit_entries are trimmed from the oldest on' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO audit_entries (id, action, details) VALUES (gen_random_uuid(), 'AUDIT_LOG_TRIMMED', jsonb_build_array(
    jsonb_build_object('name', 'entries', 'value', (SELECT count(*) FROM gone)::text),
    jsonb_build_object('name', 'until',
      'value', to_char(newest AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))));
  RETURN NULL;
END $$;

CREATE TRIGGER audit_entries_trimmed AFTER DELETE ON "audit_entries" REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION check_audit_trim();

-- Takes away the oldest entries that are older than `kept`, `most` at a time, when there are some a day older than that:
-- so about once a day. By one at a time. Returns how many.
CREATE FUNCTION trim_audit_entries(kept INTERVAL, most INTEGER) RETURNS INTEGER LANGUAGE plpgsql AS $$
DECLARE
  until TIMESTAMPTZ := clock_timestamp() - kept;
  trimmed INTEGER;
BEGIN
  IF NOT EXISTS (SELECT FROM audit_entries WHERE at < until - interval '1 day') THEN
    RETURN 0;
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtext('parley.audit_trim')) THEN
    RETURN 0;
  END IF;
  PERFORM set_config('parley.audit_trim', 'on', true);
  DELETE FROM audit_entries
  WHERE id IN (SELECT id FROM audit_entries WHERE at < until ORDER BY at, id LIMIT most);
  GET DIAGNOSTICS trimmed = ROW_COUNT;
  PERFORM set_config('parley.audit_trim', '', true);
  RETURN trimmed;
END $$;
