-- Changes of people that are not told yet in all the conversations that they are in: see person-updates.ts.
CREATE TABLE person_updates (
  user_id       uuid NOT NULL REFERENCES users (id) ON UPDATE CASCADE ON DELETE CASCADE,
  type          text NOT NULL,
  after_id      uuid,
  last_id       uuid,
  version       integer NOT NULL DEFAULT 1,
  claimed_until timestamptz(3) NOT NULL DEFAULT '-infinity'::timestamptz,
  PRIMARY KEY (user_id, type)
);
