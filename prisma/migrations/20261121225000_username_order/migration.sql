-- Bytes decide the order of usernames, whatever the database's language: the beginning of a username is a range of them.
-- No row is written for it, only the index made anew. Before there is the trigger, which would hold the column as it is.
ALTER TABLE "users" ALTER COLUMN "username_key" TYPE TEXT COLLATE "C";
