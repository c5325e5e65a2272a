import { GraphQLID, GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';

const required = (type) => ({ type: new GraphQLNonNull(type) });
const object = (name, fields) => new GraphQLObjectType({ name, fields });

const User = object('User', { id: required(GraphQLID), username: required(GraphQLString) });
const Conversation = object('Conversation', { id: required(GraphQLID) });
const Message = object('Message', {
  id: required(GraphQLID),
  seq: required(GraphQLInt),
  text: { type: GraphQLString },
  createdAt: required(GraphQLString),
  sender: { type: User },
  conversation: required(Conversation),
});
const MessageEvent = object('MessageEvent', {
  type: required(GraphQLString),
  cursor: required(GraphQLString),
  changeSeq: { type: GraphQLInt },
  message: { type: Message },
});

/**
 * A schema with the same structure as Parley's, which loads nothing. `listen(room)` returns a subscriber's stream of
 * events.
 */
export const eventSchema = (listen) =>
  new GraphQLSchema({
    query: object('Query', { ok: { type: GraphQLString } }),
    subscription: object('Subscription', {
      messages: {
        ...required(MessageEvent),
        args: { conversationId: { type: GraphQLID } },
        subscribe: (_root, { conversationId }) => listen(conversationId),
        resolve: (event) => event,
      },
    }),
  });
