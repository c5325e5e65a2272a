/** The size of an event's frame in bytes, for every server. */
export const FRAME_BYTES = 390;

/** The current time in microseconds of the monotonic clock, which the subscribers also read. */
const stamp = () => String(process.hrtime.bigint() / 1_000n);

/** A text of this length that begins with the time of its creation. */
export const stampedText = (length) =>
  `${stamp()} `.padEnd(length, 'a message as people write them ').trimEnd().padEnd(length, '.');

/** Events with the same structure as those of Parley. The text is chosen so that a frame is as long as Parley's. */
export const eventsLike = (template) => (seq, text) => ({
  ...template,
  changeSeq: seq,
  message: { ...template.message, seq, text },
});

/** The subscription that all servers execute. `fields` are additional fields of the message. */
const subscriptionOf = (fields = '') =>
  `subscription ($conversationId: ID) { messages(conversationId: $conversationId) { type cursor changeSeq message { id seq text createdAt ${fields} sender { id username } conversation { id } } } }`;

/** The subscription to changes of one message, which are identified by consecutive numbers. */
export const changesOf = (fields = '') =>
  `subscription ($conversationId: ID) { messages(conversationId: $conversationId) { type cursor seq: changeSeq message { id text createdAt reactions { emoji count } ${fields} sender { id username } conversation { id } } } }`;

/** The steps of a graphql-transport-ws subscriber, up to the frame that contains `last`. */
export const graphqlSteps = ({ token, conversationId, fields, query = subscriptionOf(fields), last }) => [
  { send: JSON.stringify({ type: 'connection_init', ...(token ? { payload: { authorization: token } } : {}) }) },
  { await: 'connection_ack' },
  {
    send: JSON.stringify({
      id: '1',
      type: 'subscribe',
      payload: { query, variables: { conversationId } },
    }),
  },
  ...last,
];
