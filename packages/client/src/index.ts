export type { Connection } from './connection.js';
export type {
  Attachment,
  Conversation,
  ConversationHandle,
  ConversationView,
  Message,
  MessageStatus,
  Row,
  User,
} from './conversation.js';
export type { TypedDocument } from './document.js';
export { type GraphQLErrorLike, ParleyError } from './errors.js';
export type { CreateGroupInput, LoginInput, RegisterInput } from './generated/types.js';
export type { OutboxEntry } from './outbox.js';
export { type ConversationList, createParley, type Parley, type ParleyOptions } from './parley.js';
export type { FileSecret } from './sealing.js';
export type { Session, SessionState, Tokens, Viewer } from './session.js';
export type { Sink } from './socket.js';
export type { Readable } from './state.js';
export type { Protection, Reaction } from './store.js';
