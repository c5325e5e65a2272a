-- The devices of a user must leave the group when the user stops being a member, and stay in it when the user is a member again.
CREATE FUNCTION mark_devices_of_member() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    UPDATE group_devices SET leaving = true
    WHERE conversation_id = OLD.conversation_id AND user_id = OLD.user_id AND NOT leaving;
  ELSE
    UPDATE group_devices SET leaving = false
    FROM devices
    WHERE conversation_id = NEW.conversation_id AND group_devices.user_id = NEW.user_id AND leaving
      AND devices.id = device_id AND devices.ended_at IS NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER mark_devices_of_member AFTER INSERT OR DELETE ON "memberships" FOR EACH ROW
  EXECUTE FUNCTION mark_devices_of_member();
