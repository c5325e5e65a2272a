import type { Config } from '../infra/config.js';
import type { Database } from '../infra/database.js';
import type { Logger } from '../infra/log.js';
import type { Passwords } from '../infra/passwords.js';
import type { Tokens } from '../infra/tokens.js';
import type { Feed } from '../realtime/feed.js';
import type { SessionWatch } from '../realtime/session-watch.js';
import type { Turns } from '../realtime/turns.js';

/** What a node's services work with; made once, when it starts. */
export interface Deps {
  config: Config;
  log: Logger;
  database: Database;
  passwords: Passwords;
  tokens: Tokens;
  feed: Feed;
  /** Conversations are changed one caller at a time. */
  turns: Turns;
  sessionWatch: SessionWatch;
  /** Whether other nodes can be heard. */
  eventsConnected(): boolean;
}

/** Who is asking, in which session, and until when the token they gave is good. */
export interface Viewer {
  userId: string;
  sessionId: string;
  expiresAt: Date;
}
