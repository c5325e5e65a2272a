-- How far the other one of a direct conversation sees that somebody has come, while neither can write to the other.
ALTER TABLE marks ADD COLUMN shown_delivered_seq integer, ADD COLUMN shown_read_seq integer;
