-- AlterTable
ALTER TABLE "changes" ADD COLUMN     "subject_id" UUID;

-- CreateTable
CREATE TABLE "epochs" (
    "id" CHAR(8) NOT NULL,
    "run" TEXT NOT NULL,
    "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),

    CONSTRAINT "epochs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "log_state" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "generation" TEXT NOT NULL,
    "trimmed_xid" xid8 NOT NULL DEFAULT '0'::xid8,

    CONSTRAINT "log_state_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "epochs_run_key" ON "epochs"("run");

-- CreateIndex
CREATE INDEX "changes_subject_id_xid_idx" ON "changes"("subject_id", "xid");

-- CreateIndex
CREATE INDEX "changes_created_at_idx" ON "changes" USING BRIN ("created_at");
