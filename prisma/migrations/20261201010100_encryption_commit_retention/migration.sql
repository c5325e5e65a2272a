CREATE INDEX "group_commits_created_at_idx" ON "group_commits"("created_at");
