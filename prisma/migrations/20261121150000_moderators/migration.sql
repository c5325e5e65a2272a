-- Who moderates a group goes with every message of it. Prisma knows no index on some of the rows.
CREATE INDEX "memberships_moderators_idx" ON "memberships" ("conversation_id", "user_id") WHERE role <> 'MEMBER';
