import { isIP } from 'node:net';
import { z } from 'zod';
import { isUsername } from '../../core/usernames.js';
import { parseDatabaseUrl } from './database-url.js';
import { type Mailbox, parseMailbox } from './mailbox.js';
import { canonicalOrigin } from './origin.js';
import { redisOptions } from './redis-options.js';

/** A variable of the environment that is missing or wrong; the message names it. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

const flag = z.enum(['on', 'off']).transform((value) => value === 'on');
const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const duration = z
  .string()
  .regex(/^\d+(ms|s|m|h|d)$/, 'must be a number and a unit: ms, s, m, h or d (15m, 30d)')
  .transform((text) => Number.parseInt(text, 10) * units[text.replace(/^\d+/, '') as keyof typeof units])
  .refine((ms) => ms > 0 && ms <= 3_650 * units.d, 'must be more than nothing and at most 3650d');
const durationOrOff = z.union([z.literal('off').transform(() => undefined), duration], {
  error: 'must be off, or a number and a unit: ms, s, m, h or d (15m, 30d)',
});

/** So many in so long. */
export interface Rate {
  count: number;
  perMs: number;
}

/** 30/10m: thirty in ten minutes; off: as many as may be. */
const rate = z.union(
  [
    z.literal('off').transform(() => undefined),
    z
      .string()
      .regex(/^[1-9]\d{0,8}\/\d+(ms|s|m|h|d)$/)
      .transform((text, context): Rate => {
        const [count = '', time = ''] = text.split('/');
        const { data, error } = duration.safeParse(time);
        if (data !== undefined && data <= 7 * units.d) return { count: Number(count), perMs: data };
        context.addIssue(error?.issues[0]?.message ?? 'must be for 7d at the most');
        return z.NEVER;
      }),
  ],
  { error: 'must be off, or a number and how long it is for (30/10m)' },
);

const url = (...protocols: string[]) =>
  z.url({ protocol: new RegExp(`^(${protocols.join('|')})$`), error: `must be a ${protocols[0]}:// URL` });

const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((each) => each.trim())
      .filter(Boolean),
  );

/** 192.0.2.1, 2001:db8::/32 */
function isAddressOrSubnet(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

const secret = z.string().min(32, 'must have at least 32 characters');

const databaseUrl = z.string().superRefine((text, context) => {
  try {
    parseDatabaseUrl(text);
  } catch (error) {
    context.addIssue((error as Error).message);
  }
});

/** Every setting with its default. The README's table and .env.example list the same: a test compares them. */
export const settings = z.object({
  /** `production` refuses what is only convenient: a generated JWT_SECRET, any origin of localhost, GraphiQL, introspection. */
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  /** Port of HTTP and WebSocket; 0 takes a free one. */
  PORT: integer(0, 65_535).default(4000),
  /** Address to listen on. */
  HOST: z.string().min(1).default('127.0.0.1'),
  /** Folder of what the embedded footing keeps: the database and a generated JWT_SECRET; and of mails not sent. */
  DATA_DIR: z.string().min(1).default('.data'),
  /** Bytes of its disk that the embedded database leaves free: with less nothing is written. 0: none. */
  DATA_DIR_MIN_FREE_BYTES: integer(0, 1_099_511_627_776).default(134_217_728),
  /** PostgreSQL 15 or newer; without it the database is embedded, in DATA_DIR. */
  DATABASE_URL: databaseUrl.optional(),
  /** Connections to PostgreSQL that one node holds at the most. */
  DATABASE_POOL_MAX: integer(2, 500).default(10),
  /** Whether the busiest statements stay prepared on a connection: off behind a pooler that does not keep them. */
  DATABASE_PREPARED: flag.prefault('on'),
  /** How long PostgreSQL may take to answer a statement before its connection counts as dead; migrations take longer. */
  DATABASE_STATEMENT_TIMEOUT: duration.prefault('20s'),
  /** Redis 6.2 or newer, for events between nodes; without it they stay in the process. */
  REDIS_URL: z
    .string()
    .refine(
      (text) => redisOptions(text) !== undefined,
      'must be a redis:// or rediss:// URL, redis://user:password@host:6379/0, or unix:///path/to/socket?db=0',
    )
    .optional(),
  /** What the names of all Redis channels and keys begin with. */
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, _ . -')
    .default('parley'),
  /** Signs access tokens; at least 32 characters. Without it one is made once and kept in DATA_DIR. */
  JWT_SECRET: secret.optional(),
  /** Another one whose access tokens are good as well: while secrets are exchanged. */
  JWT_SECRET_PREVIOUS: secret.optional(),
  /** How long an access token is good for. */
  ACCESS_TOKEN_TTL: duration.prefault('15m'),
  /** How long a session lasts that is not refreshed. */
  REFRESH_TOKEN_TTL: duration.prefault('30d'),
  /** How long a used refresh token still gives the answer that it gave, as long as that was not used: it may be lost. */
  REFRESH_GRACE: duration.prefault('30s'),
  /** How long a session is remembered that has ended or expired: longer than any token of an identity provider lasts. */
  SESSION_RETENTION: duration.prefault('30d'),
  /** Sessions that one person may have; a further one ends the one that was not used for longest. */
  SESSIONS_PER_PERSON_MAX: integer(1, 10_000).default(100),
  /** How long the audit log is kept; at least 30d, for so long the database lets nobody trim it. */
  AUDIT_RETENTION: duration.refine((ms) => ms >= 30 * units.d, 'must be at least 30d').prefault('365d'),
  /** Refusals of one account, and from one address, that a node puts down one by one in a minute: of more, how many. */
  AUDIT_REFUSALS_MAX: integer(1, 10_000).default(10),
  /** How long a mail for resetting a password is good for. */
  PASSWORD_RESET_TTL: duration.prefault('1h'),
  /** Most such mails for one account within PASSWORD_RESET_TTL; more are dropped without a word. */
  PASSWORD_RESETS_MAX: integer(1, 10).default(3),
  /** The web client's page for choosing a new password, with {token} in it; without it the mail has only the token. */
  PASSWORD_RESET_URL: z
    .string()
    .refine(
      (text) => text.includes('{token}') && /^https?:/.test(text) && URL.canParse(text.replaceAll('{token}', 'token')),
      'must be an http:// or https:// URL with {token} in it',
    )
    .optional(),
  /** The server that sends mails, smtp:// or smtps://; without it they are put as files into DATA_DIR/outbox. */
  SMTP_URL: url('smtp', 'smtps').optional(),
  /** Whom mails come from, `Name <address>` or an address; needed with SMTP_URL. */
  MAIL_FROM: z
    .string()
    .transform((text, context): Mailbox => {
      const mailbox = parseMailbox(text);
      if (mailbox) return mailbox;
      context.addIssue('must be an address or Name <address>');
      return z.NEVER;
    })
    .optional(),
  /** Whether rates are limited, and what one person or address may have open; sizes are limited either way. */
  RATE_LIMITS: flag.prefault('on'),
  /** Failed sign-ins from one address, whoever they are for. */
  RATE_SIGN_IN_PER_ADDRESS: rate.prefault('60/10m'),
  /** Failed sign-ins of one account, from addresses where it has not signed in before. */
  RATE_SIGN_IN_PER_ACCOUNT: rate.prefault('100/1h'),
  /** Failed sign-ins of one account from one address. */
  RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: rate.prefault('10/10m'),
  /** Sessions that are begun with the password of one account. */
  RATE_SESSION_PER_ACCOUNT: rate.prefault('100/1h'),
  /** Registrations from one address, tries too. */
  RATE_REGISTRATION_PER_ADDRESS: rate.prefault('30/1h'),
  /** What is asked from one address about passwords that were forgotten: a mail, or a new one. */
  RATE_PASSWORD_RESET_PER_ADDRESS: rate.prefault('20/1h'),
  /** Refresh tokens from one address that were refused. */
  RATE_REFRESH_PER_ADDRESS: rate.prefault('100/10m'),
  /** Refreshes of one session. */
  RATE_REFRESH_PER_SESSION: rate.prefault('60/10m'),
  /** Messages of one person, on each node: so many at once, and then evenly as many in that time. */
  RATE_SEND_PER_PERSON: rate.prefault('120/1m'),
  /** Other mutations of one person, on each node, likewise. */
  RATE_MUTATION_PER_PERSON: rate.prefault('600/1m'),
  /** Direct conversations that one person begins, on each node, likewise; opening one that is there counts for nothing. */
  RATE_OPEN_DIRECT_PER_PERSON: rate.prefault('120/1h'),
  /** Searches of one person, on each node, likewise. */
  RATE_SEARCH_PER_PERSON: rate.prefault('120/1m'),
  /** Documents from one address that a node does not know yet, and has to parse and validate. */
  RATE_UNKNOWN_DOCUMENT_PER_ADDRESS: rate.prefault('600/1m'),
  /** WebSockets that one person may have open at one node. */
  SOCKETS_PER_PERSON_MAX: integer(1, 1_000_000).default(50),
  /** WebSockets that may be open at one node from one address. */
  SOCKETS_PER_ADDRESS_MAX: integer(1, 1_000_000).default(2_000),
  /** Streams over HTTP (SSE) that one person may have open at one node. */
  STREAMS_PER_PERSON_MAX: integer(1, 1_000_000).default(50),
  /** Whether people make accounts themselves, with a password; off: FORBIDDEN. Who has one signs in either way. */
  REGISTRATION: flag.prefault('on'),
  /** Keys of the identity provider whose access tokens sign people in (JWKS); with AUTH_ISSUER and AUTH_AUDIENCE. */
  AUTH_JWKS_URL: url('https', 'http').optional(),
  /** What stands in its tokens as `iss`, to the letter. */
  AUTH_ISSUER: z.string().optional(),
  /** What must stand in their `aud`: the name of this service at the provider. */
  AUTH_AUDIENCE: z.string().optional(),
  /** The claim that usernames are made of. */
  AUTH_USERNAME_CLAIM: z.string().default('preferred_username'),
  /** The claim with the name that others are shown. */
  AUTH_NAME_CLAIM: z.string().default('name'),
  /** The claim with the address of a picture. */
  AUTH_PICTURE_CLAIM: z.string().default('picture'),
  /** With it as access token your own backend is the service's bot, and makes accounts; at least 32 characters. */
  SERVICE_KEY: z
    .string()
    .regex(/^[\w.~+/-]{32,}={0,2}$/, 'must be at least 32 letters, digits, - . _ ~ + / (openssl rand -base64 48)')
    .optional(),
  /** The username of that bot. */
  SERVICE_USERNAME: z.string().refine(isUsername, 'must be 3 to 32 letters, digits, _ . -').default('service'),
  /** The name of that bot that others are shown; by default its username. */
  SERVICE_NAME: z.string().trim().min(1).max(80).optional(),
  /** Comma-separated origins of web clients; outside production any origin of localhost as well. */
  ALLOWED_ORIGINS: list.transform((all, context) =>
    all.map((origin) => {
      const canonical = canonicalOrigin(origin);
      if (canonical !== undefined) return canonical;
      context.addIssue(
        `must be origins like https://chat.example.com, https://*.example.com or capacitor://localhost, separated by ` +
          `commas, without a path: ${JSON.stringify(origin)} is none`,
      );
      return z.NEVER;
    }),
  ),
  /** Proxies whose X-Forwarded-For is believed: addresses, subnets, or loopback, linklocal, uniquelocal. */
  TRUSTED_PROXIES: list.refine(
    (all) => all.every((each) => isAddressOrSubnet(each) || ['loopback', 'linklocal', 'uniquelocal'].includes(each)),
    'must be addresses, subnets (10.0.0.0/8), loopback, linklocal or uniquelocal, separated by commas',
  ),
  /** fatal, error, warn, info, debug, trace or silent. */
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** How the log is written: `json`, one object a line, or `pretty`, for people. By default pretty on a terminal only. */
  LOG_FORMAT: z.enum(['json', 'pretty']).optional(),
  /** Port of its own for Prometheus' /metrics; 0 takes a free one. */
  METRICS_PORT: integer(0, 65_535).optional(),
  /** Address that METRICS_PORT listens on. */
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  /** Bearer token that /metrics asks for; with it, and without METRICS_PORT, it is on the port of all else. */
  METRICS_TOKEN: z
    .string()
    .regex(/^[\w.~+/-]{32,}={0,2}$/, 'must be at least 32 letters, digits, - . _ ~ + / (openssl rand -base64 48)')
    .optional(),
  /** Collector of OpenTelemetry that traces go to, by OTLP over HTTP, as http://collector:4318; without it there are none. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url('http', 'https').optional(),
  /** The name of the service in its traces. */
  OTEL_SERVICE_NAME: z.string().min(1).default('parley'),
  /** The share of traces that is kept, from 0 to 1, of those whose caller does not say. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  /** GraphiQL in the browser at /graphql; by default on outside production. */
  GRAPHIQL: flag.optional(),
  /** Whether clients are told the schema when they ask for it (and GraphiQL); by default on outside production. */
  INTROSPECTION: flag.optional(),
  /** For how long browsers are told to come over HTTPS only, where something in front speaks it; off: they are not told. */
  HSTS: durationOrOff.prefault('off'),
  /** The documents of your clients, as JSON of hash and text: what codegen writes as persisted-documents.json. */
  PERSISTED_DOCUMENTS: z.string().min(1).optional(),
  /** Whether these are all that is taken. */
  PERSISTED_DOCUMENTS_ONLY: flag.prefault('off'),
  /** Work factor of password hashes: each step more doubles the time. */
  BCRYPT_COST: integer(4, 15).default(10),
  /** Hashes that may wait for a worker; more are refused with UNAVAILABLE. */
  PASSWORD_QUEUE_MAX: integer(1, 100_000).default(200),
  /** What becomes of the messages of a deleted account: they stay, or go as if deleted one by one. */
  DELETED_ACCOUNT_MESSAGES: z.enum(['keep', 'delete']).default('keep'),
  /** Longest text of a message, in characters (UTF-16 units), after trimming. */
  MESSAGE_MAX_CHARS: integer(1, 100_000).default(8_000),
  /** How long a message can be edited after it was sent; `forever`: as long as it is there. */
  MESSAGE_EDIT_WINDOW: z.union([z.literal('forever').transform(() => null), duration]).prefault('1d'),
  /** Most earlier texts that are kept of an edited message: the first one and the newest. 0: none is. */
  MESSAGE_VERSIONS_MAX: integer(0, 1_000).default(50),
  /** Who reads them: all who see the message, or its sender and who moderates the group. */
  MESSAGE_VERSIONS_FOR: z.enum(['members', 'moderators']).default('members'),
  /** Most different emojis that people react to one message with. */
  REACTION_EMOJIS_MAX: integer(1, 100).default(20),
  /** Most of these that one person gives one message. */
  REACTIONS_PER_PERSON_MAX: integer(1, 100).default(10),
  /** Most messages that are pinned in one conversation. */
  PINS_MAX: integer(1, 100).default(100),
  /** Whether groups tell who came, went or changed what, by messages of the service's own. */
  SYSTEM_MESSAGES: flag.default(true),
  /** Most people whom one message may name. */
  MENTIONS_MAX: integer(0, 1_000).default(50),
  /** Most members of a group. */
  GROUP_MAX_MEMBERS: integer(2, 1_000_000).default(10_000),
  /** Most people that one call brings into a group. */
  GROUP_ADD_MAX: integer(1, 10_000).default(100),
  /** Most groups that one person may be in that they made or joined themselves. */
  GROUPS_MAX: integer(1, 100_000).default(1_000),
  /** Most groups that others may have brought one person into; one and the same person into a tenth of these. */
  GROUPS_ADDED_MAX: integer(1, 100_000).default(2_000),
  /** Most people that one person may have as contacts. */
  CONTACTS_MAX: integer(1, 100_000).default(5_000),
  /** Most people that one person may have blocked. */
  BLOCKS_MAX: integer(1, 100_000).default(5_000),
  /** Largest conversation whose members see how far each has read; in larger ones messages stay SENT. */
  RECEIPT_MAX_MEMBERS: integer(2, 10_000).default(250),
  /** How long somebody whose last connection has gone still counts as there: coming back does not blink. */
  PRESENCE_GRACE: duration.prefault('10s'),
  /** How often a node tells the others that it lives; silent for three of these, its people are offline. */
  PRESENCE_INTERVAL: duration.prefault('5s'),
  /** Most people whose presence one subscription is told of. */
  PRESENCE_MAX_WATCHED: integer(1, 10_000).default(500),
  /** Streams of presence that one person may have open at one node. */
  PRESENCE_STREAMS_PER_PERSON_MAX: integer(1, 1_000_000).default(100),
  /** How long somebody counts as typing who does not say so again. */
  TYPING_TTL: duration.prefault('6s'),
  /** Largest conversation in which others see who is typing. */
  TYPING_MAX_MEMBERS: integer(2, 10_000).default(250),
  /** Summaries of one person that a node makes at once; further ones wait. */
  SUMMARIES_PER_PERSON_MAX: integer(1, 1_000).default(2),
  /** Queries of one person that a node carries out at once; further ones wait. */
  QUERIES_PER_PERSON_MAX: integer(1, 10_000).default(10),
  /** Most messages that one summary is of. */
  SUMMARY_MESSAGES_MAX: integer(10, 100_000).default(20_000),
  /** Most points of a summary. */
  SUMMARY_HIGHLIGHTS_MAX: integer(1, 50).default(12),
  /** Most summaries that are kept of one conversation: the oldest go first. */
  SUMMARIES_KEPT: integer(1, 10_000).default(100),
  /** Summaries that may wait for a worker of a node; more are refused with UNAVAILABLE. */
  SUMMARY_QUEUE_MAX: integer(1, 10_000).default(50),
  /** An OpenAI-compatible server that writes summaries, up to /v1; with SUMMARY_MODEL. Without it the embedded one does. */
  SUMMARY_BASE_URL: url('https', 'http').optional(),
  /** The model to ask there, by its name. */
  SUMMARY_MODEL: z.string().trim().min(1).max(200).optional(),
  /** The key that it wants, if it wants one. */
  SUMMARY_API_KEY: z.string().optional(),
  /** How long one call of that server may take; then it is tried once more. */
  SUMMARY_TIMEOUT: duration.prefault('60s'),
  /** How long it may take altogether for one summary; then the embedded summarizer makes it. */
  SUMMARY_DEADLINE: duration.prefault('5m'),
  /** Calls of that server that are under way at once from one node. */
  SUMMARY_CALLS_MAX: integer(1, 100).default(4),
  /** Most characters of messages that it is given in one call; longer ranges are several. */
  SUMMARY_INPUT_MAX: integer(1_000, 1_000_000).default(24_000),
  /** Tokens there that summaries of one person may cost in SUMMARY_TOKENS_WINDOW; then RATE_LIMITED. */
  SUMMARY_TOKENS_MAX: integer(1, 1_000_000_000).default(200_000),
  /** How long tokens count, from the first one on. */
  SUMMARY_TOKENS_WINDOW: duration.prefault('1d'),
  /** Largest `first` and `last`. */
  PAGE_MAX: integer(1, 1_000).default(100),
  /** A page's size when a client gives none. */
  PAGE_DEFAULT: integer(1, 1_000).default(50),
  /** Largest body of an HTTP request, in bytes. */
  BODY_MAX_BYTES: integer(1_024, 104_857_600).default(262_144),
  /** Largest frame that a WebSocket client may send, in bytes. */
  FRAME_MAX_BYTES: integer(1_024, 104_857_600).default(262_144),
  /** Words and signs (GraphQL's tokens) of one document. */
  OPERATION_TOKENS_MAX: integer(100, 1_000_000).default(2_000),
  /** How deep the fields of an operation may lie in each other. */
  OPERATION_DEPTH_MAX: integer(3, 1_000).default(16),
  /** Queries or mutations that one operation may ask for side by side. */
  OPERATION_ROOT_FIELDS_MAX: integer(1, 10_000).default(30),
  /** Fields and fragments in one operation, fragments as often as they are spread. */
  OPERATION_FIELDS_MAX: integer(100, 1_000_000).default(2_000),
  /** Pairs that validation has to compare: fields of one name in one place of the answer, and definitions. */
  OPERATION_COMPARISONS_MAX: integer(100, 100_000_000).default(5_000),
  /** Aliases in one operation. */
  OPERATION_ALIASES_MAX: integer(0, 10_000).default(60),
  /** Directives in one operation. */
  OPERATION_DIRECTIVES_MAX: integer(0, 10_000).default(60),
  /** Cost of one operation: about how many fields its answer can have, lists as long as they are asked for. */
  OPERATION_COST_MAX: integer(100, 100_000_000).default(30_000),
  /** Statements of the database that one operation may need: about one for each field that reads something. */
  OPERATION_STATEMENTS_MAX: integer(10, 1_000_000).default(200),
  /** Statements of one person that run at once on a node, outside of transactions; of one operation one fewer. */
  STATEMENTS_PER_PERSON_MAX: integer(1, 1_000).default(5),
  /** How long a client may take to send the headers of a request. */
  HEADERS_TIMEOUT: duration.prefault('15s'),
  /** How long a client may take to send a whole request. */
  REQUEST_TIMEOUT: duration.prefault('60s'),
  /** How long a connection without a request is kept: longer than a load balancer in front keeps it. */
  KEEP_ALIVE_TIMEOUT: duration.prefault('65s'),
  /** Streams on one WebSocket, which are operations as well; one more is RATE_LIMITED. */
  SOCKET_STREAMS_MAX: integer(1, 100_000).default(200),
  /** Operations that may be under way at once on one WebSocket, streams among them; one more is RATE_LIMITED. */
  SOCKET_OPERATIONS_MAX: integer(1, 100_000).default(500),
  /** Bytes of answers that may wait for one WebSocket client; with more it is not read from until it reads. */
  SOCKET_BUFFER_MAX_BYTES: integer(16_384, 1_073_741_824).default(1_048_576),
  /** Bytes that subscriptions of one connection may keep: their documents, each once, and the values of variables. */
  KEPT_BYTES_PER_CONNECTION_MAX: integer(65_536, 1_073_741_824).default(2_097_152),
  /** The same of one person, on all connections to a node. */
  KEPT_BYTES_PER_PERSON_MAX: integer(65_536, 1_073_741_824).default(16_777_216),
  /** The same of one address, and of frames that have come from it in part. */
  KEPT_BYTES_PER_ADDRESS_MAX: integer(65_536, 10_737_418_240).default(134_217_728),
  /** Events that may wait for one subscriber that does not read; then its stream ends with an error. */
  STREAM_QUEUE_MAX: integer(1, 1_000_000).default(1_000),
  /** How often a node looks in the database for changes that no event told it of. */
  SWEEP_INTERVAL: duration.prefault('1s'),
  /** How long the change log is kept: older cursors answer CURSOR_EXPIRED. A week and a day. */
  CHANGE_RETENTION: duration.prefault('8d'),
  /** Most changes that one resume may bring; more answer CURSOR_EXPIRED. A day of a busy group. */
  REPLAY_MAX: integer(1, 10_000_000).default(50_000),
  /** Over how long the sockets of a stopping node are closed, so that their clients do not come back all at once. */
  DRAIN_TIME: duration.prefault('3s'),
  /** How long SIGTERM waits for what is under way. */
  SHUTDOWN_TIMEOUT: duration.prefault('10s'),
});

/** Issuers of our own: of our access tokens and the service's bot, and of the keys that a backend has for its people. */
export const OWN_ISSUER = 'parley';
export const SERVICE_ISSUER = 'service';

type Settings = z.output<typeof settings>;

/** Whether nobody may learn what a setting says: by its name, so that a new one of the kind is none less. */
export const isSecretSetting = (name: string): boolean =>
  /(SECRET|KEY|TOKEN|PASSWORD|URL|ENDPOINT|_PREVIOUS)$/.test(name) && !openUrls.includes(name);

/** URLs that hold no password: everyone may see them. */
const openUrls: readonly string[] = ['AUTH_JWKS_URL', 'PASSWORD_RESET_URL'] satisfies (keyof Settings)[];

/** Whose access tokens sign people in, and what of these tokens says how they are called. */
export interface IdentityProvider {
  jwksUrl: string;
  issuer: string;
  audience: string;
  usernameClaim: string;
  nameClaim: string;
  pictureClaim: string;
}

/** The key of the backend beside us, and how its bot is called. */
export interface ServiceSettings {
  key: string;
  username: string;
  name: string;
}

/** Who writes summaries outside of this machine. */
export interface SummaryServer {
  baseUrl: string;
  model: string;
  apiKey: string | undefined;
  /** Of one call, and of all for one summary. */
  timeoutMs: number;
  deadlineMs: number;
  callsMax: number;
  inputMax: number;
  tokensMax: number;
  tokensWindowMs: number;
}

/** What is limited, each undefined where it is not. */
interface Rates {
  signInPerAddress: Rate | undefined;
  signInPerAccount: Rate | undefined;
  signInPerAccountAndAddress: Rate | undefined;
  sessionPerAccount: Rate | undefined;
  registrationPerAddress: Rate | undefined;
  passwordResetPerAddress: Rate | undefined;
  refreshPerAddress: Rate | undefined;
  refreshPerSession: Rate | undefined;
  sendPerPerson: Rate | undefined;
  mutationPerPerson: Rate | undefined;
  openDirectPerPerson: Rate | undefined;
  searchPerPerson: Rate | undefined;
  unknownDocumentPerAddress: Rate | undefined;
}

export interface Config {
  /** What is set otherwise than by default, by name and as it was given: secrets too. */
  given: Readonly<Record<string, string>>;
  production: boolean;
  port: number;
  host: string;
  dataDir: string;
  dataDirMinFreeBytes: number;
  databaseUrl: string | undefined;
  databasePoolMax: number;
  databasePrepared: boolean;
  databaseStatementTimeoutMs: number;
  redisUrl: string | undefined;
  redisPrefix: string;
  /** Undefined: use the one kept in dataDir. */
  jwtSecret: string | undefined;
  jwtSecretPrevious: string | undefined;
  accessTokenTtlMs: number;
  refreshTokenTtlMs: number;
  refreshGraceMs: number;
  sessionRetentionMs: number;
  sessionsPerPersonMax: number;
  auditRetentionMs: number;
  auditRefusalsMax: number;
  passwordResetTtlMs: number;
  passwordResetsMax: number;
  passwordResetUrl: string | undefined;
  /** Undefined: mails are put as files into dataDir. */
  smtpUrl: string | undefined;
  mailFrom: Mailbox;
  rates: Rates;
  rateLimits: boolean;
  /** Infinite, as the next two, where RATE_LIMITS is off. */
  socketsPerPersonMax: number;
  socketsPerAddressMax: number;
  streamsPerPersonMax: number;
  registration: boolean;
  /** Undefined: only this server signs people in. */
  identityProvider: IdentityProvider | undefined;
  service: ServiceSettings | undefined;
  /** Canonical, with `*.` for any labels before a domain. */
  allowedOrigins: readonly string[];
  trustedProxies: readonly string[];
  logLevel: Settings['LOG_LEVEL'];
  /** Undefined: pretty on a terminal, else JSON. */
  logFormat: Settings['LOG_FORMAT'];
  /** Undefined: metrics are on the port of all else, if there is a token, or nowhere. */
  metricsPort: number | undefined;
  metricsHost: string;
  metricsToken: string | undefined;
  /** Undefined: nothing is traced. */
  tracesEndpoint: string | undefined;
  tracesServiceName: string;
  tracesSampledShare: number;
  graphiql: boolean;
  introspection: boolean;
  /** Undefined: nothing is said of it. */
  hstsMs: number | undefined;
  persistedDocuments: string | undefined;
  persistedDocumentsOnly: boolean;
  bcryptCost: number;
  passwordQueueMax: number;
  deletedAccountMessages: Settings['DELETED_ACCOUNT_MESSAGES'];
  messageMaxChars: number;
  /** Null: for ever. */
  messageEditWindowMs: number | null;
  messageVersionsMax: number;
  messageVersionsFor: Settings['MESSAGE_VERSIONS_FOR'];
  reactionEmojisMax: number;
  reactionsPerPersonMax: number;
  pinsMax: number;
  systemMessages: boolean;
  mentionsMax: number;
  groupMaxMembers: number;
  groupAddMax: number;
  groupsMax: number;
  groupsAddedMax: number;
  contactsMax: number;
  blocksMax: number;
  receiptMaxMembers: number;
  summaryMessagesMax: number;
  summaryHighlightsMax: number;
  summariesKept: number;
  summaryQueueMax: number;
  /** Undefined: only the embedded summarizer makes summaries. */
  summaryServer: SummaryServer | undefined;
  pageMax: number;
  pageDefault: number;
  bodyMaxBytes: number;
  frameMaxBytes: number;
  operationTokensMax: number;
  operationDepthMax: number;
  operationRootFieldsMax: number;
  operationFieldsMax: number;
  operationComparisonsMax: number;
  operationAliasesMax: number;
  operationDirectivesMax: number;
  operationCostMax: number;
  operationStatementsMax: number;
  statementsPerPersonMax: number;
  headersTimeoutMs: number;
  requestTimeoutMs: number;
  keepAliveTimeoutMs: number;
  socketStreamsMax: number;
  socketOperationsMax: number;
  socketBufferMaxBytes: number;
  keptBytesPerConnectionMax: number;
  /** Infinite, as the next one, where RATE_LIMITS is off. */
  keptBytesPerPersonMax: number;
  keptBytesPerAddressMax: number;
  streamQueueMax: number;
  sweepIntervalMs: number;
  changeRetentionMs: number;
  replayMax: number;
  presenceGraceMs: number;
  presenceIntervalMs: number;
  presenceMaxWatched: number;
  /** Infinite where RATE_LIMITS is off. */
  presenceStreamsPerPersonMax: number;
  summariesPerPersonMax: number;
  queriesPerPersonMax: number;
  typingTtlMs: number;
  typingMaxMembers: number;
  drainTimeMs: number;
  shutdownTimeoutMs: number;
}

/**
 * Reads the configuration from an environment; an empty variable counts as absent.
 * @throws {ConfigError} naming every variable that is wrong, one a line.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const { data, error } = settings.safeParse(given);
  if (error) throw new ConfigError(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  const production = data.NODE_ENV === 'production';
  if (production && data.JWT_SECRET === undefined) {
    throw new ConfigError('JWT_SECRET: must be set when NODE_ENV is production (openssl rand -base64 48)');
  }
  if (data.REDIS_URL !== undefined && data.DATABASE_URL === undefined) {
    throw new ConfigError('REDIS_URL: needs DATABASE_URL: nodes that share events must share a database');
  }
  if (data.SMTP_URL !== undefined && data.MAIL_FROM === undefined) {
    throw new ConfigError('MAIL_FROM: must be set with SMTP_URL: an address that its server may send from');
  }
  if (data.SERVICE_KEY !== undefined && [data.JWT_SECRET, data.JWT_SECRET_PREVIOUS].includes(data.SERVICE_KEY)) {
    throw new ConfigError('SERVICE_KEY: must be another one than JWT_SECRET, which is never sent');
  }
  if (data.HEADERS_TIMEOUT > data.REQUEST_TIMEOUT) {
    throw new ConfigError('HEADERS_TIMEOUT: must not be longer than REQUEST_TIMEOUT, which it is part of');
  }
  if (data.PERSISTED_DOCUMENTS_ONLY && data.PERSISTED_DOCUMENTS === undefined) {
    throw new ConfigError('PERSISTED_DOCUMENTS: must be set with PERSISTED_DOCUMENTS_ONLY');
  }
  return {
    given: otherThanDefault(given as Record<string, string>, data),
    production,
    port: data.PORT,
    host: data.HOST,
    dataDir: data.DATA_DIR,
    dataDirMinFreeBytes: data.DATA_DIR_MIN_FREE_BYTES,
    databaseUrl: data.DATABASE_URL,
    databasePoolMax: data.DATABASE_POOL_MAX,
    databasePrepared: data.DATABASE_PREPARED,
    databaseStatementTimeoutMs: data.DATABASE_STATEMENT_TIMEOUT,
    redisUrl: data.REDIS_URL,
    redisPrefix: data.REDIS_PREFIX,
    jwtSecret: data.JWT_SECRET,
    jwtSecretPrevious: data.JWT_SECRET_PREVIOUS,
    accessTokenTtlMs: data.ACCESS_TOKEN_TTL,
    refreshTokenTtlMs: data.REFRESH_TOKEN_TTL,
    refreshGraceMs: data.REFRESH_GRACE,
    sessionRetentionMs: data.SESSION_RETENTION,
    sessionsPerPersonMax: data.SESSIONS_PER_PERSON_MAX,
    auditRetentionMs: data.AUDIT_RETENTION,
    auditRefusalsMax: data.AUDIT_REFUSALS_MAX,
    passwordResetTtlMs: data.PASSWORD_RESET_TTL,
    passwordResetsMax: data.PASSWORD_RESETS_MAX,
    passwordResetUrl: data.PASSWORD_RESET_URL,
    smtpUrl: data.SMTP_URL,
    mailFrom: data.MAIL_FROM ?? { name: 'Parley', address: 'parley@localhost' },
    rates: ratesOf(data),
    rateLimits: data.RATE_LIMITS,
    socketsPerPersonMax: data.RATE_LIMITS ? data.SOCKETS_PER_PERSON_MAX : Number.POSITIVE_INFINITY,
    socketsPerAddressMax: data.RATE_LIMITS ? data.SOCKETS_PER_ADDRESS_MAX : Number.POSITIVE_INFINITY,
    streamsPerPersonMax: data.RATE_LIMITS ? data.STREAMS_PER_PERSON_MAX : Number.POSITIVE_INFINITY,
    registration: data.REGISTRATION,
    identityProvider: identityProviderOf(data),
    service:
      data.SERVICE_KEY === undefined
        ? undefined
        : { key: data.SERVICE_KEY, username: data.SERVICE_USERNAME, name: data.SERVICE_NAME ?? data.SERVICE_USERNAME },
    allowedOrigins: data.ALLOWED_ORIGINS,
    trustedProxies: data.TRUSTED_PROXIES,
    logLevel: data.LOG_LEVEL,
    logFormat: data.LOG_FORMAT,
    metricsPort: data.METRICS_PORT,
    metricsHost: data.METRICS_HOST,
    metricsToken: data.METRICS_TOKEN,
    tracesEndpoint: data.OTEL_EXPORTER_OTLP_ENDPOINT,
    tracesServiceName: data.OTEL_SERVICE_NAME,
    tracesSampledShare: data.OTEL_TRACES_SAMPLER_ARG,
    graphiql: data.GRAPHIQL ?? !production,
    introspection: data.INTROSPECTION ?? !production,
    hstsMs: data.HSTS,
    persistedDocuments: data.PERSISTED_DOCUMENTS,
    persistedDocumentsOnly: data.PERSISTED_DOCUMENTS_ONLY,
    bcryptCost: data.BCRYPT_COST,
    passwordQueueMax: data.PASSWORD_QUEUE_MAX,
    deletedAccountMessages: data.DELETED_ACCOUNT_MESSAGES,
    messageMaxChars: data.MESSAGE_MAX_CHARS,
    messageEditWindowMs: data.MESSAGE_EDIT_WINDOW,
    messageVersionsMax: data.MESSAGE_VERSIONS_MAX,
    messageVersionsFor: data.MESSAGE_VERSIONS_FOR,
    reactionEmojisMax: data.REACTION_EMOJIS_MAX,
    reactionsPerPersonMax: data.REACTIONS_PER_PERSON_MAX,
    pinsMax: data.PINS_MAX,
    systemMessages: data.SYSTEM_MESSAGES,
    mentionsMax: data.MENTIONS_MAX,
    groupMaxMembers: data.GROUP_MAX_MEMBERS,
    groupAddMax: data.GROUP_ADD_MAX,
    groupsMax: data.GROUPS_MAX,
    groupsAddedMax: data.GROUPS_ADDED_MAX,
    contactsMax: data.CONTACTS_MAX,
    blocksMax: data.BLOCKS_MAX,
    receiptMaxMembers: data.RECEIPT_MAX_MEMBERS,
    summaryMessagesMax: data.SUMMARY_MESSAGES_MAX,
    summaryHighlightsMax: data.SUMMARY_HIGHLIGHTS_MAX,
    summariesKept: data.SUMMARIES_KEPT,
    summaryQueueMax: data.SUMMARY_QUEUE_MAX,
    summaryServer: summaryServerOf(data),
    pageMax: data.PAGE_MAX,
    pageDefault: data.PAGE_DEFAULT,
    bodyMaxBytes: data.BODY_MAX_BYTES,
    frameMaxBytes: data.FRAME_MAX_BYTES,
    operationTokensMax: data.OPERATION_TOKENS_MAX,
    operationDepthMax: data.OPERATION_DEPTH_MAX,
    operationRootFieldsMax: data.OPERATION_ROOT_FIELDS_MAX,
    operationFieldsMax: data.OPERATION_FIELDS_MAX,
    operationComparisonsMax: data.OPERATION_COMPARISONS_MAX,
    operationAliasesMax: data.OPERATION_ALIASES_MAX,
    operationDirectivesMax: data.OPERATION_DIRECTIVES_MAX,
    operationCostMax: data.OPERATION_COST_MAX,
    operationStatementsMax: data.OPERATION_STATEMENTS_MAX,
    statementsPerPersonMax: data.STATEMENTS_PER_PERSON_MAX,
    headersTimeoutMs: data.HEADERS_TIMEOUT,
    requestTimeoutMs: data.REQUEST_TIMEOUT,
    keepAliveTimeoutMs: data.KEEP_ALIVE_TIMEOUT,
    socketStreamsMax: data.SOCKET_STREAMS_MAX,
    socketOperationsMax: data.SOCKET_OPERATIONS_MAX,
    socketBufferMaxBytes: data.SOCKET_BUFFER_MAX_BYTES,
    keptBytesPerConnectionMax: data.KEPT_BYTES_PER_CONNECTION_MAX,
    keptBytesPerPersonMax: data.RATE_LIMITS ? data.KEPT_BYTES_PER_PERSON_MAX : Number.POSITIVE_INFINITY,
    keptBytesPerAddressMax: data.RATE_LIMITS ? data.KEPT_BYTES_PER_ADDRESS_MAX : Number.POSITIVE_INFINITY,
    streamQueueMax: data.STREAM_QUEUE_MAX,
    sweepIntervalMs: data.SWEEP_INTERVAL,
    changeRetentionMs: data.CHANGE_RETENTION,
    replayMax: data.REPLAY_MAX,
    presenceGraceMs: data.PRESENCE_GRACE,
    presenceIntervalMs: data.PRESENCE_INTERVAL,
    presenceMaxWatched: data.PRESENCE_MAX_WATCHED,
    presenceStreamsPerPersonMax: data.RATE_LIMITS ? data.PRESENCE_STREAMS_PER_PERSON_MAX : Infinity,
    summariesPerPersonMax: data.SUMMARIES_PER_PERSON_MAX,
    queriesPerPersonMax: data.QUERIES_PER_PERSON_MAX,
    typingTtlMs: data.TYPING_TTL,
    typingMaxMembers: data.TYPING_MAX_MEMBERS,
    drainTimeMs: data.DRAIN_TIME,
    shutdownTimeoutMs: data.SHUTDOWN_TIMEOUT,
  };
}

function ratesOf(data: Settings): Rates {
  const limited = (given: Rate | undefined) => (data.RATE_LIMITS ? given : undefined);
  return {
    signInPerAddress: limited(data.RATE_SIGN_IN_PER_ADDRESS),
    signInPerAccount: limited(data.RATE_SIGN_IN_PER_ACCOUNT),
    signInPerAccountAndAddress: limited(data.RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS),
    sessionPerAccount: limited(data.RATE_SESSION_PER_ACCOUNT),
    registrationPerAddress: limited(data.RATE_REGISTRATION_PER_ADDRESS),
    passwordResetPerAddress: limited(data.RATE_PASSWORD_RESET_PER_ADDRESS),
    refreshPerAddress: limited(data.RATE_REFRESH_PER_ADDRESS),
    refreshPerSession: limited(data.RATE_REFRESH_PER_SESSION),
    sendPerPerson: limited(data.RATE_SEND_PER_PERSON),
    mutationPerPerson: limited(data.RATE_MUTATION_PER_PERSON),
    openDirectPerPerson: limited(data.RATE_OPEN_DIRECT_PER_PERSON),
    searchPerPerson: limited(data.RATE_SEARCH_PER_PERSON),
    unknownDocumentPerAddress: limited(data.RATE_UNKNOWN_DOCUMENT_PER_ADDRESS),
  };
}

function otherThanDefault(given: Record<string, string>, data: Settings): Record<string, string> {
  const defaults = settings.parse({});
  const isOther = (name: keyof Settings) => JSON.stringify(data[name]) !== JSON.stringify(defaults[name]);
  return Object.fromEntries(
    Object.entries(given)
      .filter(([name]) => name in defaults || name in data)
      .filter(([name]) => isOther(name as keyof Settings)),
  );
}

/** @throws {ConfigError} with some of its settings and without others. */
function summaryServerOf(data: Settings): SummaryServer | undefined {
  const { SUMMARY_BASE_URL: baseUrl, SUMMARY_MODEL: model, SUMMARY_API_KEY: apiKey } = data;
  if (baseUrl === undefined || model === undefined) {
    if (baseUrl === undefined && model === undefined && apiKey === undefined) return undefined;
    const missing = baseUrl === undefined ? 'SUMMARY_BASE_URL' : 'SUMMARY_MODEL';
    throw new ConfigError(`${missing}: must be set as well: SUMMARY_BASE_URL and SUMMARY_MODEL go together`);
  }
  return {
    baseUrl,
    model,
    apiKey,
    timeoutMs: data.SUMMARY_TIMEOUT,
    deadlineMs: data.SUMMARY_DEADLINE,
    callsMax: data.SUMMARY_CALLS_MAX,
    inputMax: data.SUMMARY_INPUT_MAX,
    tokensMax: data.SUMMARY_TOKENS_MAX,
    tokensWindowMs: data.SUMMARY_TOKENS_WINDOW,
  };
}

/** @throws {ConfigError} with some of its settings and without others. */
function identityProviderOf(data: Settings): IdentityProvider | undefined {
  const { AUTH_JWKS_URL: jwksUrl, AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience } = data;
  const needed = { AUTH_JWKS_URL: jwksUrl, AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience };
  if (jwksUrl === undefined || issuer === undefined || audience === undefined) {
    const [missing] = Object.entries(needed).find(([, value]) => value === undefined) ?? [];
    if (Object.values(needed).every((value) => value === undefined)) return undefined;
    throw new ConfigError(`${missing}: must be set as well: ${Object.keys(needed).join(', ')} go together`);
  }
  if (issuer === OWN_ISSUER || issuer === SERVICE_ISSUER) {
    throw new ConfigError(`AUTH_ISSUER: ${issuer} is this server's own`);
  }
  return {
    jwksUrl,
    issuer,
    audience,
    usernameClaim: data.AUTH_USERNAME_CLAIM,
    nameClaim: data.AUTH_NAME_CLAIM,
    pictureClaim: data.AUTH_PICTURE_CLAIM,
  };
}
