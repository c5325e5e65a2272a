import { ConfigError } from './config-error.js';
import { defineSettings, setting } from './define-settings.js';
import { duration, flag, integer, text } from './kinds.js';

export const connectionSettings = defineSettings(
  'Connections',
  {
    SOCKETS_PER_PERSON_MAX: setting(integer(1, 1_000_000), {
      default: '50',
      description: 'The maximum number of WebSockets of one user at one node. A further one is closed with code 1013.',
      rateLimit: true,
    }),
    SOCKETS_PER_ADDRESS_MAX: setting(integer(1, 1_000_000), {
      default: '2000',
      description:
        'The maximum number of WebSockets from one address at one node. A further one is rejected with status 429.',
      rateLimit: true,
    }),
    STREAMS_PER_PERSON_MAX: setting(integer(1, 1_000_000), {
      default: '50',
      description:
        'The maximum number of HTTP event streams (SSE) of one user at one node. A further one fails with `RATE_LIMITED`.',
      rateLimit: true,
    }),
    SOCKET_STREAMS_MAX: setting(integer(1, 100_000), {
      default: '200',
      description: 'The maximum number of subscriptions on one WebSocket. A further one fails with `RATE_LIMITED`.',
      clientDescription: 'The maximum number of concurrent subscriptions on one WebSocket.',
    }),
    SOCKET_OPERATIONS_MAX: setting(integer(1, 100_000), {
      default: '500',
      description:
        'The maximum number of operations in progress on one WebSocket, subscriptions included. A further one fails with `RATE_LIMITED`.',
    }),
    SOCKET_BUFFER_MAX_BYTES: setting(integer(16_384, 1_073_741_824), {
      default: '1048576',
      description:
        'The number of bytes that may wait to be sent to one WebSocket client. With more, the server stops reading from that client until it has caught up.',
    }),
    STREAM_QUEUE_MAX: setting(integer(1, 1_000_000), {
      default: '1000',
      description:
        'The maximum number of events that wait for one subscriber. With more, a WebSocket is closed with code 1013, and an event stream (SSE) ends with `UNAVAILABLE`.',
    }),
    KEPT_BYTES_PER_CONNECTION_MAX: setting(integer(65_536, 1_073_741_824), {
      default: '2097152',
      description:
        'The maximum number of bytes that the subscriptions of one connection may occupy: each document once, and the values of variables. A further subscription fails with `RATE_LIMITED`.',
    }),
    KEPT_BYTES_PER_PERSON_MAX: setting(integer(65_536, 1_073_741_824), {
      default: '16777216',
      description:
        'The maximum number of bytes that the subscriptions on all connections of one user to a node may occupy, counted as for `KEPT_BYTES_PER_CONNECTION_MAX`.',
      rateLimit: true,
    }),
    KEPT_BYTES_PER_ADDRESS_MAX: setting(integer(65_536, 10_737_418_240), {
      default: '134217728',
      description:
        'The maximum number of bytes that the subscriptions on all connections from one address to a node may occupy, counted in the same way, incomplete frames included.',
      rateLimit: true,
    }),
    BODY_MAX_BYTES: setting(integer(1_024, 104_857_600), {
      default: '524288',
      description: 'The maximum size of an HTTP request body, in bytes.',
    }),
    FRAME_MAX_BYTES: setting(integer(1_024, 104_857_600), {
      default: '262144',
      description: 'The maximum size of a WebSocket message from a client, in bytes.',
    }),
    HEADERS_TIMEOUT: setting(duration(), {
      default: '15s',
      description: 'How long a client may take to send the headers of a request. It must not exceed `REQUEST_TIMEOUT`.',
    }),
    REQUEST_TIMEOUT: setting(duration(), {
      default: '60s',
      description: 'How long a client may take to send a whole request.',
    }),
    KEEP_ALIVE_TIMEOUT: setting(duration(), {
      default: '65s',
      description:
        'How long an idle HTTP connection is kept open. It must be longer than the idle timeout of a load balancer in front.',
    }),
  },
  (values) => {
    if (values.headersTimeoutMs > values.requestTimeoutMs) {
      throw new ConfigError('HEADERS_TIMEOUT: must not be longer than REQUEST_TIMEOUT, which includes it');
    }
    return values;
  },
);

export const operationSettings = defineSettings(
  'Operations',
  {
    PAGE_MAX: setting(integer(1, 1_000), {
      default: '100',
      description: 'The maximum of `first` and `last`.',
      clientDescription: 'The maximum value of `first` and `last`.',
    }),
    PAGE_DEFAULT: setting(integer(1, 1_000), {
      default: '50',
      description: 'The size of a page when a client asks for none.',
    }),
    OPERATION_TOKENS_MAX: setting(integer(100, 1_000_000), {
      default: '2000',
      description: 'The maximum number of GraphQL tokens in one document.',
    }),
    OPERATION_DEPTH_MAX: setting(integer(3, 1_000), {
      default: '16',
      description: 'The maximum depth of nested fields. Introspection fields are not counted.',
      clientDescription: 'The maximum depth of nested fields in an operation.',
    }),
    OPERATION_ROOT_FIELDS_MAX: setting(integer(1, 10_000), {
      default: '30',
      description: 'The maximum number of top-level fields in one operation.',
    }),
    OPERATION_FIELDS_MAX: setting(integer(100, 1_000_000), {
      default: '2000',
      description:
        'The maximum number of fields and fragments in one operation. A fragment counts wherever it is used.',
    }),
    OPERATION_COMPARISONS_MAX: setting(integer(100, 100_000_000), {
      default: '5000',
      description:
        'The maximum number of pairs that validation has to compare: fields with the same response name in the same place, and definitions.',
    }),
    OPERATION_ALIASES_MAX: setting(integer(0, 10_000), {
      default: '60',
      description: 'The maximum number of aliases in one operation.',
    }),
    OPERATION_ALIAS_MAX_CHARS: setting(integer(32, 65_536), {
      default: '128',
      description: 'The maximum length of an alias. The response repeats an alias for each item of a list.',
    }),
    OPERATION_DIRECTIVES_MAX: setting(integer(0, 10_000), {
      default: '60',
      description: 'The maximum number of directives in one operation.',
    }),
    OPERATION_COST_MAX: setting(integer(100, 100_000_000), {
      default: '30000',
      description:
        'The maximum cost of one operation: roughly the number of fields in its response, with each list as long as requested. See docs/PROTOCOL.md#sizes-of-operations.',
      clientDescription:
        'The maximum cost of an operation. The cost is approximately the number of fields that the response can contain, where lists count with their maximum length.',
    }),
    OPERATION_VALUES_MAX: setting(integer(10, 1_000_000), {
      default: '2000',
      description:
        'The maximum number of values in the variables of one operation. Lists, input objects and what they contain count one each.',
    }),
    OPERATION_STATEMENTS_MAX: setting(integer(10, 1_000_000), {
      default: '200',
      description:
        'The maximum number of database statements that one operation may need: about one for each field that reads something. See docs/PROTOCOL.md#sizes-of-operations.',
    }),
    QUERIES_PER_PERSON_MAX: setting(integer(1, 10_000), {
      default: '10',
      description:
        'The maximum number of queries of one user that a node executes at the same time. Further ones wait.',
    }),
    LARGE_OPERATION_COST: setting(integer(1, 100_000_000), {
      default: '1000',
      description:
        'The cost from which an operation counts as large. The large queries and mutations of one user run one after another.',
    }),
    TIME_PER_PERSON_PERCENT: setting(integer(1, 100), {
      default: '25',
      description:
        'The percentage of the processing time of a node that the large operations and the initial events of subscriptions of one user may use. The same percentage applies separately to receiving, reading and refusing the HTTP requests and WebSocket messages of the user. Requests without a valid token count for their address. Above the limit, large operations, initial presence events and HTTP requests wait while other users use the node, and a WebSocket is read more slowly.',
      rateLimit: true,
    }),
    REQUESTS_WAITING_MAX: setting(integer(1, 100_000), {
      default: '1000',
      description:
        'The maximum number of HTTP requests and rejected upgrades of one user or address that wait on a node because of `TIME_PER_PERSON_PERCENT`. Further ones are answered with status 429 and `RATE_LIMITED`.',
    }),
    STATEMENTS_PER_PERSON_MAX: setting(integer(1, 1_000), {
      default: '5',
      description:
        'The maximum number of database statements of one user, outside of transactions, that run on a node at the same time. One operation uses at most one fewer. The embedded database runs one statement or transaction at a time; there, this setting has no effect: one of each user is in progress or queued, transactions included.',
    }),
    PERSISTED_DOCUMENTS: setting(text, {
      description:
        'The path of a JSON file with the documents of your clients by their hash, as GraphQL Code Generator writes it. See docs/CLIENTS.md#persisted-documents.',
      example: 'persisted-documents.json',
    }),
    PERSISTED_DOCUMENTS_ONLY: setting(flag, {
      default: 'off',
      description:
        'Whether only the documents in the file of `PERSISTED_DOCUMENTS`, and those of the web app unless `WEB` is off, are accepted. Others fail with `FORBIDDEN`.',
    }),
  },
  (values) => {
    if (values.persistedDocumentsOnly && values.persistedDocuments === undefined) {
      throw new ConfigError('PERSISTED_DOCUMENTS: must be set if PERSISTED_DOCUMENTS_ONLY is on');
    }
    return values;
  },
);

export const deliverySettings = defineSettings('Delivery', {
  SWEEP_INTERVAL: setting(duration(), {
    default: '1s',
    description: 'How often a node checks the database for changes that other nodes have not announced to it.',
  }),
  CHANGE_RETENTION: setting(duration(), {
    default: '8d',
    description: 'How long the change log is kept. Resuming from an older cursor fails with `CURSOR_EXPIRED`.',
  }),
  REPLAY_MAX: setting(integer(1, 10_000_000), {
    default: '50000',
    description:
      'The maximum number of missed changes that a resume delivers. With more, it fails with `CURSOR_EXPIRED`.',
  }),
});
