import { isIP } from 'node:net';
import { defineSettings, setting } from './define-settings.js';
import { duration, durationOr, flag, integer, list, oneOf, text, url } from './kinds.js';
import { canonicalOrigin } from './origin.js';

export const serverSettings = defineSettings(
  'Server',
  {
    NODE_ENV: setting(oneOf('development', 'test', 'production'), {
      default: 'development',
      description:
        '`production` requires `JWT_SECRET`, allows no origin that is neither listed in `ALLOWED_ORIGINS` nor that of the web app, and switches GraphiQL and introspection off by default.',
    }),
    PORT: setting(integer(0, 65_535), {
      default: '4000',
      description: 'The TCP port for HTTP and WebSocket. 0 chooses a free port.',
      perNode: true,
    }),
    HOST: setting(text, {
      default: '127.0.0.1',
      description: 'The address to listen on. `0.0.0.0`, the default in the Docker image, means all IPv4 interfaces.',
      perNode: true,
    }),
    PUBLIC_URL: setting(url('https', 'http'), {
      description: 'The URL at which browsers reach the web app of this server, for links in emails and pushes.',
      whenUnset: 'no emails about unread messages',
      example: 'https://chat.example.com',
      secret: false,
    }),
    ALLOWED_ORIGINS: setting(
      list(
        'origins like https://chat.example.com, https://*.example.com or capacitor://localhost, separated by commas, without a path',
        canonicalOrigin,
      ),
      {
        default: '',
        description:
          'The origins of your web clients, separated by commas. `https://*.example.com` allows every subdomain; origins of native apps such as `capacitor://localhost` or `chrome-extension://…` are listed in the same way. Outside production every origin on localhost is allowed as well.',
        example: 'https://chat.example.com',
      },
    ),
    TRUSTED_PROXIES: setting(
      list('addresses, subnets (10.0.0.0/8), loopback, linklocal or uniquelocal, separated by commas', (proxy) =>
        isAddressOrSubnet(proxy) || namedNetworks.includes(proxy) ? proxy : undefined,
      ),
      {
        default: '',
        description:
          'The proxies whose `X-Forwarded-For` header is trusted: addresses, subnets, or the names `loopback`, `linklocal` and `uniquelocal`, separated by commas. Set it wherever a proxy or load balancer stands in front: otherwise all clients share its address, and with it the limits per address. Ports in the header are ignored.',
        example: '10.0.0.0/8',
      },
    ),
    HSTS: setting(durationOr('off', undefined), {
      default: 'off',
      description:
        'The `max-age` of the `Strict-Transport-Security` header, which makes browsers use HTTPS only. Set it when all clients reach the server through TLS.',
      example: '365d',
    }),
    WEB: setting(flag, {
      default: 'on',
      description:
        'Whether browsers get the web app at `/`. It works with the same limits and permissions as every other client.',
    }),
    GRAPHIQL: setting(flag, {
      default: 'on',
      defaultInProduction: 'off',
      description: 'Whether browsers get GraphiQL at `/graphql`.',
    }),
    INTROSPECTION: setting(flag, {
      default: 'on',
      defaultInProduction: 'off',
      description:
        'Whether clients may query the schema (`__schema` and `__type`). GraphiQL needs it for its documentation.',
    }),
    DRAIN_TIME: setting(duration(), {
      default: '3s',
      description:
        'The period over which a stopping node closes its WebSockets, so that clients do not all reconnect to the other nodes at once.',
    }),
    SHUTDOWN_TIMEOUT: setting(duration(), {
      default: '10s',
      description:
        'How long a stopping node waits for its WebSockets to close, and then again for requests in progress.',
    }),
  },
  ({ nodeEnv, ...values }) => ({ production: nodeEnv === 'production', ...values }),
);

const namedNetworks = ['loopback', 'linklocal', 'uniquelocal'];

/** Whether the text is an IP address or a subnet: 192.0.2.1, 2001:db8::/32. */
function isAddressOrSubnet(proxy: string): boolean {
  const [address = '', bits, ...more] = proxy.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}
