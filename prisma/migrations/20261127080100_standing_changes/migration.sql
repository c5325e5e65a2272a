-- Who stands to whom another way than before: what nodes find who were not told of it. Kept for an hour.
CREATE TABLE standing_changes (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  user_id uuid NOT NULL,
  type text,
  about_id uuid,
  changed_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX standing_changes_xid_idx ON standing_changes (xid);
CREATE INDEX standing_changes_changed_at_idx ON standing_changes (changed_at);
