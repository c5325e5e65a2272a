import { ConfigError } from '../../infra/config/config-error.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, integer, list, oneOf, rate, secret, text, url } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

/** The maximum number of devices of a call that clients receive: those in the call, and the latest ones that have left. */
export const PARTIES_SHOWN_MAX = 20;

const iceUrl = /^(?:stuns?:[^\s?]+|turns?:[^\s?]+(?:\?transport=(?:udp|tcp))?)$/;

/** Whether an ICE server relays media, and therefore needs credentials. */
export const isTurn = (url: string): boolean => /^turns?:/.test(url);

export const callSettings = defineSettings('Calls', {
  CALLS: setting(flag, {
    default: 'on',
    description: 'Whether users can call each other. See docs/CALLS.md.',
  }),
  CALL_RING_TIME: setting(duration('1s'), {
    default: '45s',
    description: 'How long a call rings before it counts as missed.',
    clientDescription: 'How long a call rings before it counts as missed, in milliseconds.',
  }),
  CALL_RECONNECTING_AFTER: setting(duration('1s'), {
    default: '10s',
    description: 'How long a device in a call may be without its stream `calls` before it is shown as RECONNECTING.',
  }),
  CALL_LOST_AFTER: setting(duration('1s'), {
    default: '60s',
    description:
      'How long all devices in a call may be without their streams before the call ends, and for how long a single disconnected device prevents its user from joining other calls.',
  }),
  CALL_PARTIES_MAX: setting(integer(2, 16), {
    default: '4',
    description:
      'The maximum number of devices in a call. Each of them sends its audio and video to all others, so more than four need fast connections.',
    clientDescription: 'The maximum number of devices in a call.',
  }),
  CALL_MEMBERS_MAX: setting(integer(2, 100_000), {
    default: '1000',
    description: 'The maximum number of members of a conversation in which a call can be started.',
    clientDescription: 'The maximum number of members of a conversation in which a call can be started.',
  }),
  CALL_SIGNAL_MAX_BYTES: setting(integer(1_024, 1_048_576), {
    default: '65536',
    description: 'The maximum length of a signal between two devices in a call, in bytes.',
    clientDescription: 'The maximum length of a signal of a call in bytes (UTF-8).',
  }),
  CALL_SIGNALS_MAX: setting(integer(10, 10_000), {
    default: '200',
    description: 'The maximum number of signals to one device that it has not acknowledged.',
    clientDescription: 'The maximum number of signals to one device in a call that it has not acknowledged.',
  }),
  CALL_RELAY: setting(oneOf('off', 'strangers', 'always'), {
    default: 'strangers',
    description:
      'Which calls send audio and video through TURN servers only, so that the participants do not learn the addresses of each other: `strangers` for calls of users who do not have each other as contacts. Without a TURN server in `TURN_URLS`, calls are never restricted to them.',
  }),
  TURN_URLS: setting(
    list('URLs that begin with stun:, stuns:, turn: or turns:, separated by commas', (text) =>
      iceUrl.test(text) ? text : undefined,
    ),
    {
      default: '',
      description:
        'The STUN and TURN servers that clients use in calls. Without any, calls work between devices in the same network and between most devices with public addresses.',
      example: 'stun:turn.example.com:3478,turn:turn.example.com:3478?transport=udp',
      secret: false,
    },
  ),
  TURN_SECRET: setting(secret, {
    description:
      'The secret that the TURN servers share with Parley (`static-auth-secret` of coturn), from which credentials are derived. Required if `TURN_URLS` contains a TURN server.',
  }),
  TURN_CREDENTIAL_TTL: setting(duration('1m'), {
    default: '12h',
    description: 'How long the credentials for the TURN servers are valid.',
  }),
  CALL_SFU_URL: setting(url('wss', 'ws'), {
    description:
      'The URL of a LiveKit server, through which the audio and video of calls in groups with more than `CALL_PARTIES_MAX` members go. Clients and nodes must reach it.',
    whenUnset: 'devices always connect to each other',
    example: 'wss://livekit.example.com',
    secret: false,
  }),
  CALL_SFU_KEY: setting(text, {
    description: 'The API key of the LiveKit server. Required with `CALL_SFU_URL`.',
    secret: false,
  }),
  CALL_SFU_SECRET: setting(secret, {
    description: 'The API secret of the LiveKit server, with which tokens are signed. Required with `CALL_SFU_URL`.',
  }),
  CALL_SFU_PARTIES_MAX: setting(integer(2, PARTIES_SHOWN_MAX), {
    default: String(PARTIES_SHOWN_MAX),
    description: 'The maximum number of devices in a call whose audio and video go through the LiveKit server.',
    clientDescription: 'The maximum number of devices in a call whose audio and video go through an SFU.',
  }),
  CALL_SFU_TOKEN_TTL: setting(duration('10s'), {
    default: '2m',
    description: 'How long a device can use a token to connect to the LiveKit server.',
  }),
});

export const callRateSettings = defineSettings('Rate limits', {
  RATE_CALL_PER_PERSON: setting(rate, {
    default: '30/10m',
    description: `Calls that one user starts. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
  RATE_CALL_SIGNAL_PER_PERSON: setting(rate, {
    default: '500/1m',
    description: `Requests with signals of calls (\`sendCallSignals\`) of one user. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

type CallConfig = SectionValues<typeof callSettings>;

declare module '../../infra/config/config.js' {
  interface Config extends CallConfig, SectionValues<typeof callRateSettings> {}
}

/** Whether clients can send media through a TURN server. */
export const hasTurn = ({ turnUrls }: Pick<CallConfig, 'turnUrls'>): boolean => turnUrls.some(isTurn);

/** How to reach the LiveKit server and to sign tokens for it; undefined if calls do not use one. */
export const sfuOf = ({ callSfuUrl: address, callSfuKey: key, callSfuSecret: signingSecret }: SfuConfig) =>
  address !== undefined && key !== undefined && signingSecret !== undefined
    ? { url: address, key, secret: signingSecret }
    : undefined;

export type SfuConfig = Pick<CallConfig, 'callSfuUrl' | 'callSfuKey' | 'callSfuSecret'>;

/** @throws {ConfigError} if the settings contradict each other. */
export function checkCallConfig(config: CallConfig): void {
  if (hasTurn(config) && config.turnSecret === undefined) {
    throw new ConfigError('TURN_SECRET: is required because TURN_URLS contains a TURN server');
  }
  if (config.callRelay === 'always' && !hasTurn(config)) {
    throw new ConfigError('CALL_RELAY: always needs a TURN server in TURN_URLS');
  }
  const sfu = {
    CALL_SFU_URL: config.callSfuUrl,
    CALL_SFU_KEY: config.callSfuKey,
    CALL_SFU_SECRET: config.callSfuSecret,
  };
  const missing = Object.entries(sfu).flatMap(([name, value]) => (value === undefined ? name : []));
  if (missing.length > 0 && missing.length < 3) {
    throw new ConfigError(`${missing.join(', ')}: is required because other settings of the LiveKit server are set`);
  }
}
