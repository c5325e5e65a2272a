-- Who brought a member in; of a group that somebody made or joined, they themselves. Null in rows that are older: what they
-- count as, the group says. Adding it rewrites nothing.
ALTER TABLE memberships ADD COLUMN added_by_id uuid;
