import type { Slices } from '../core/slices.js';
import type { Message } from '../generated/prisma/client.js';
import type { Counts } from '../infra/async/counts.js';
import type { Gates } from '../infra/async/gates.js';
import type { Lookup } from '../infra/async/lookup.js';
import type { Passwords } from '../infra/auth/passwords.js';
import type { Tokens } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import type { Database } from '../infra/database/database.js';
import type { Mailer } from '../infra/mail.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Metrics } from '../infra/telemetry/metrics.js';
import type { Tracing } from '../infra/telemetry/tracing.js';
import type { RateLimits } from '../platform/rates.js';
import type { Feed } from '../realtime/feed.js';
import type { SessionWatch } from '../realtime/session-watch.js';
import type { Turns } from '../realtime/turns.js';
import type { Erasures } from './account/erasures.js';
import type { AuditNotes } from './audit/audit.notes.js';
import type { Readability } from './conversation/conversation.store.js';
import type { PersonUpdates } from './conversation/person-updates.js';
import type { Sends } from './message/message.sending.js';
import type { OutsideViewers } from './outside/outside.viewers.js';
import type { ResetRequests } from './password/password.requests.js';
import type { Presence } from './presence/presence.js';
import type { Sight } from './presence/presence.store.js';
import type { Marks } from './receipt/receipt.marks.js';
import type { SeenKey } from './reply/reply.store.js';
import type { Indexing } from './search/search.index.js';
import type { ServiceKey } from './service/service.key.js';
import type { Summaries } from './summary/summaries.js';
import type { Typing } from './typing/typing.js';
import type { Standing } from './user/reach.store.js';

/** What a node's services work with; made once, when it starts. */
export interface Deps {
  config: Config;
  log: Logger;
  /** What is counted and timed: a feature asks for its own numbers here. */
  metrics: Metrics;
  tracing: Tracing;
  database: Database;
  passwords: Passwords;
  tokens: Tokens;
  mailer: Mailer;
  /** How often something may be done. */
  rates: RateLimits;
  /** Who has forgotten their password is answered first, and sent a mail then. */
  resetRequests: ResetRequests;
  /** Whom an identity provider signs in; absent where none is configured. */
  outside: OutsideViewers | undefined;
  /** The key of the backend beside us; absent where none is configured. */
  serviceKey: ServiceKey | undefined;
  /** What was refused is put down, after the answer. */
  audit: AuditNotes;
  feed: Feed;
  /** Conversations are changed one caller at a time. */
  turns: Turns;
  /** Messages that are sent at the same time are stored together. */
  sends: Sends;
  /** Marks that move at the same time are stored together. */
  marks: Marks;
  /** What is left to do of deleted accounts is done. */
  erasures: Erasures;
  /** Everyone in conversations with people who have changed is told. */
  personUpdates: PersonUpdates;
  /** Messages that search does not find yet are put into its index. */
  indexing: Indexing;
  /** Long work of the processor that is done for somebody: all of it together leaves the others their turns. */
  slices: Slices;
  presence: Presence;
  /** Streams of presence that each person has open here, and how many of them look at once whom they may see. */
  presenceStreams: Counts;
  presenceReads: Gates;
  /** Summaries that each person waits for here. */
  summaryGates: Gates;
  typing: Typing;
  /** Summaries are made, each once. */
  summaries: Summaries;
  sessionWatch: SessionWatch;
  /** Whose a session is; null when it has ended. */
  lookUpSession: Lookup<string, string | null>;
  /** What decides whether a person may read a conversation. */
  lookUpReadability: Lookup<{ conversationId: string; userId: string }, Readability | null>;
  /** The relationship of one user to another. Reads for many viewers are batched, as when an event reaches them all. */
  lookUpStanding: Lookup<Sight, Standing>;
  /** Whether somebody may see another's presence. */
  lookUpSight: Lookup<Sight, boolean>;
  /** With which emojis somebody reacted to a message. */
  lookUpReactions: Lookup<{ messageId: string; userId: string }, readonly string[]>;
  /** A message by its number, for a person; null where they do not see it. */
  lookUpSeen: Lookup<SeenKey, Message | null>;
  /** Whether other nodes can be heard. */
  eventsConnected(): boolean;
}
