// Time-ordered ids as Parley creates them, so that new rows are added at the end of an index.
const newId = `encode(overlay(uuid_send(gen_random_uuid()) placing
    substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 'hex')::uuid`;

/**
 * The minimum that stores a message like Parley, in one statement and without an authorization check: numbers from the
 * conversation's row, the message with an idempotency key, and the change. The parameters are SQL expressions.
 */
export const singleStatement = ({ conversation, sender, text }) => `
WITH numbered AS (
  UPDATE conversations SET latest_seq = latest_seq + 1, change_seq = change_seq + 1,
    last_activity_at = greatest(last_activity_at, clock_timestamp())
  WHERE id = ${conversation} RETURNING id, latest_seq, change_seq, last_activity_at
), stored AS (
  INSERT INTO messages (id, conversation_id, seq, sender_id, text, created_at, client_message_id, input_hash)
  SELECT ${newId}, id, latest_seq, ${sender}, ${text}, last_activity_at, gen_random_uuid()::text, sha256('input')
  FROM numbered RETURNING id
)
INSERT INTO changes (conversation_id, change_seq, type, message_id, actor_id)
SELECT numbered.id, change_seq, 'MESSAGE_SENT', stored.id, ${sender} FROM numbered, stored
RETURNING change_seq`;

/** The id of a conversation that only the peers use; `number` is an SQL expression, from 1. */
export const peerConversation = (number) => `('00000000-0000-4000-8000-' || lpad((${number})::text, 12, '0'))::uuid`;

/** Creates this number of such conversations. */
export const makePeerConversations = (count) => `
INSERT INTO conversations (id, kind, title, created_by_id)
SELECT ${peerConversation('n')}, 'GROUP', 'Of the peers', (SELECT id FROM users ORDER BY id LIMIT 1)
FROM generate_series(1, ${count}) AS n ON CONFLICT DO NOTHING`;

/** An SQL expression for the id of any user. */
export const anySender = '(SELECT id FROM users ORDER BY id LIMIT 1)';
