import { conflictReasons, errorCodes, forbiddenReasons } from '../../core/errors.js';
import { builder } from '../../graphql/builder.js';
import { clientLimitsOf, type Section } from '../../infra/config/define-settings.js';
import { version } from '../../infra/config/version.js';
import type { Capability } from '../../platform/deps.js';

/** Names in a sentence: `A`, `B` or `C`. */
const anyOf = (names: readonly string[]) =>
  names
    .map((name) => `\`${name}\``)
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1');

const ErrorCode = builder.enumType('ErrorCode', {
  description:
    'The values of `extensions.code` of an error. Treat an unknown value as an error that a newer server introduced.',
  values: {
    UNAUTHENTICATED: {
      description:
        'No user is signed in, or the access token has expired or was revoked. An invalid token is never treated as anonymous access. Refresh the session or sign in. A wrong password is reported as BAD_USER_INPUT without a field.',
    },
    FORBIDDEN: {
      description: `The viewer is not allowed to do this. Where clients can react to the cause, \`extensions.reason\` names it: ${anyOf(forbiddenReasons)}. Newer servers can use other reasons. If a limit is reached, \`extensions.limit\` names its field in \`serverInfo.limits\`.`,
    },
    NOT_FOUND: {
      description: 'The object does not exist, or the viewer cannot see it. The two cases cannot be distinguished.',
    },
    BAD_USER_INPUT: {
      description:
        'An argument is invalid. `extensions.field` contains its path, for example `input.username` or `first`. If several arguments are invalid, `extensions.fields` lists each path with its message. If a value exceeds a limit, `extensions.limit` names its field in `serverInfo.limits`.',
    },
    CONFLICT: {
      description: `A value is already taken (\`extensions.field\` contains its path), or the request contradicts the stored state. Where clients can react to the cause, \`extensions.reason\` names it: ${anyOf(conflictReasons)}. Newer servers can use other reasons.`,
    },
    RATE_LIMITED: { description: 'Too many requests. Retry after `extensions.retryAfterMs` milliseconds.' },
    CURSOR_EXPIRED: {
      description:
        'The stream cannot be resumed from this cursor. Fetch the data again and subscribe with a new `viewer.syncCursor`.',
    },
    PAYLOAD_TOO_LARGE: { description: 'The request is larger than the server accepts.' },
    UNAVAILABLE: { description: 'A service that the server needs is temporarily unavailable. Retry the same request.' },
    INTERNAL_SERVER_ERROR: {
      description: "The server failed. `extensions.errorId` identifies the failure in the server's log.",
    },
  } satisfies Record<(typeof errorCodes)[number], object>,
});

export const Limits = builder.objectRef<object>('Limits').implement({
  description:
    'The limits that this server applies. If a request exceeds one of them, `extensions.limit` of the error names its field.',
});

/** Adds the limits that the settings of all features and parts of the server publish. */
export function addLimits(sections: readonly Section[]): void {
  builder.objectFields(Limits, (t) =>
    Object.fromEntries(
      clientLimitsOf(sections).map(({ name, description, nullable, read }) => [
        name,
        t.int({ nullable, description, resolve: (_limits, _args, { deps }) => read(deps.config) }),
      ]),
    ),
  );
}

export const ServerInfo = builder.objectRef<object>('ServerInfo').implement({
  description: 'The version, features and limits of a server.',
  fields: (t) => ({
    version: t.string({ nullable: false, description: 'The version of the server.', resolve: () => version }),
    limits: t.field({
      type: Limits,
      description: 'The limits that this server applies.',
      nullable: false,
      resolve: (info) => info,
    }),
    errorCodes: t.field({
      type: [ErrorCode],
      nullable: { list: false, items: false },
      description: 'The values of `extensions.code` that errors of this server can have.',
      resolve: () => errorCodes,
    }),
  }),
});

/** Adds the field `features` with the capabilities of all features. */
export function addCapabilities(capabilities: readonly Capability[]): void {
  const list = capabilities.map(({ name, description }) => `\n- \`${name}\`: ${description}.`).join('');
  builder.objectField(ServerInfo, 'features', (t) =>
    t.stringList({
      nullable: { list: false, items: false },
      description: `The optional features that are enabled, by these names. Newer servers can have other features.\n${list}`,
      resolve: (_info, _args, { deps }) =>
        capabilities.filter(({ isEnabled }) => isEnabled(deps.config)).map(({ name }) => name),
    }),
  );
}

builder.queryField('serverInfo', (t) =>
  t.field({
    type: ServerInfo,
    nullable: false,
    description:
      'The version, features and limits of this server. Check them before using features that an older server may lack.',
    // Its fields read only what they publish: the configuration contains secrets.
    resolve: () => ({}),
  }),
);
