-- Builds that know the migration which is named here may run on these tables: see "Upgrade" in docs/OPERATIONS.md. The
-- first migration after a release names the newest one of that release.
COMMENT ON TABLE "log_state" IS 'Oldest migration that a build must know: 20261127120000_summaries';
