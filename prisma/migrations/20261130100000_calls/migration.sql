CREATE TYPE "CallKind" AS ENUM ('VOICE', 'VIDEO');
CREATE TYPE "CallState" AS ENUM ('RINGING', 'ACTIVE', 'ENDED');
CREATE TYPE "CallEndReason" AS ENUM ('HUNG_UP', 'DECLINED', 'CANCELLED', 'MISSED', 'BUSY', 'LOST', 'FAILED');
CREATE TYPE "CallPartyState" AS ENUM ('CONNECTED', 'RECONNECTING', 'LEFT');

CREATE TABLE "calls" (
    "id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "kind" "CallKind" NOT NULL,
    "state" "CallState" NOT NULL DEFAULT 'RINGING',
    "started_by_id" UUID NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "ring_until" TIMESTAMPTZ(3) NOT NULL,
    "answered_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "end_reason" "CallEndReason",
    "relay_only" BOOLEAN NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "claimed_until" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity'::timestamp with time zone,

    CONSTRAINT "calls_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "calls_conversation_id_started_at_id_idx" ON "calls"("conversation_id", "started_at", "id");
-- A conversation has at most one call that has not ended. All of these calls are found in this index.
CREATE UNIQUE INDEX "calls_live_idx" ON "calls"("conversation_id") WHERE "state" <> 'ENDED';
ALTER TABLE "calls" ADD CONSTRAINT "calls_conversation_id_fkey"
  FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "call_parties" (
    "id" UUID NOT NULL,
    "call_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "state" "CallPartyState" NOT NULL DEFAULT 'CONNECTED',
    "microphone_on" BOOLEAN NOT NULL DEFAULT true,
    "camera_on" BOOLEAN NOT NULL,
    "screen_on" BOOLEAN NOT NULL DEFAULT false,
    "joined_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "left_at" TIMESTAMPTZ(3),
    "seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "signal_seq" INTEGER NOT NULL DEFAULT 0,
    "client_key" TEXT,
    "input_hash" BYTEA,

    CONSTRAINT "call_parties_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "call_parties_call_id_joined_at_id_idx" ON "call_parties"("call_id", "joined_at", "id");
CREATE UNIQUE INDEX "call_parties_user_id_client_key_key" ON "call_parties"("user_id", "client_key");
-- The parties that are in a call, at most one for each device of a user.
CREATE INDEX "call_parties_live_idx" ON "call_parties"("user_id") WHERE "state" <> 'LEFT';
ALTER TABLE "call_parties" ADD CONSTRAINT "call_parties_call_id_fkey"
  FOREIGN KEY ("call_id") REFERENCES "calls"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "call_declines" (
    "call_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,

    CONSTRAINT "call_declines_pkey" PRIMARY KEY ("call_id", "user_id")
);
ALTER TABLE "call_declines" ADD CONSTRAINT "call_declines_call_id_fkey"
  FOREIGN KEY ("call_id") REFERENCES "calls"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "call_signals" (
    "to_party_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "call_id" UUID NOT NULL,
    "from_party_id" UUID NOT NULL,
    "payload" TEXT NOT NULL,

    CONSTRAINT "call_signals_pkey" PRIMARY KEY ("to_party_id", "seq")
);
CREATE INDEX "call_signals_call_id_idx" ON "call_signals"("call_id");
ALTER TABLE "call_signals" ADD CONSTRAINT "call_signals_call_id_fkey"
  FOREIGN KEY ("call_id") REFERENCES "calls"("id") ON DELETE CASCADE ON UPDATE CASCADE;
