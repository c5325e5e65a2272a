-- Subscriptions are deleted in many ways, and their jobs with them. In each of them, the pushes that waited are recorded.
CREATE FUNCTION record_pushes_of_removed_device() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO push_records (user_id, subscription_id, kind, conversation_id, from_seq, to_seq, result, tries, waits, queued_at)
  SELECT OLD.user_id, OLD.id, OLD.kind, job.conversation_id, job.from_seq, job.to_seq, 'DEVICE_REMOVED', job.tries, job.waits,
         job.created_at
  FROM push_jobs job
  WHERE job.subscription_id = OLD.id AND EXISTS (SELECT FROM users WHERE users.id = OLD.user_id AND deleted_at IS NULL);
  RETURN OLD;
END $$;
CREATE TRIGGER record_pushes_of_removed_device BEFORE DELETE ON "push_subscriptions" FOR EACH ROW
  EXECUTE FUNCTION record_pushes_of_removed_device();
