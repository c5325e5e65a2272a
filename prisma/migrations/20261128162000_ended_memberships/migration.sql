-- The membership that a change ended, so that clients can remove it from their caches. It is null in
-- rows of other changes and in older rows. Adding the column rewrites nothing.
ALTER TABLE "changes" ADD COLUMN "membership_id" UUID;
