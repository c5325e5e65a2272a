ALTER TABLE "push_subscriptions" ADD CONSTRAINT "push_subscriptions_session_id_fkey"
  FOREIGN KEY ("session_id") REFERENCES "sessions"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Sessions end in many ways, also on nodes that do not know of pushes. In each of them, the subscriptions end in the same
-- transaction, so that no device receives a push after it was signed out.
CREATE FUNCTION delete_push_subscriptions_of_session() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM push_subscriptions WHERE session_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_push_subscriptions_of_session AFTER UPDATE OF ended_at ON "sessions" FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION delete_push_subscriptions_of_session();
