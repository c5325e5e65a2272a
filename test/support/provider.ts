import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { IdentityProvider } from '../../src/infra/auth/provider-tokens.js';
import { atEnd } from './ending.js';

export interface Key {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  publicJwk: Record<string, unknown>;
}

type SigningKey = Omit<Key, 'kid'> & { kid?: string | undefined };

let keys = 0;

export async function makeKey(alg = 'ES256'): Promise<Key> {
  keys += 1;
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${keys}`;
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

const AUDIENCE = 'chat';
const now = () => Math.floor(Date.now() / 1_000);

/** Claims of a token, including invalid ones. */
type Claims = Record<string, unknown>;

/** An identity provider: it signs tokens, and serves its keys while it is running. */
export class Provider {
  readonly issuer = 'https://login.example.com/';
  /** The number of requests for its keys. */
  fetches = 0;
  /** A response to send instead of the keys. */
  answer: { status: number; body: string } | undefined;
  #key: Key;
  #keys: Key[];
  #port = 0;
  readonly #server = createServer((_request, response) => {
    this.fetches += 1;
    const { status, body } = this.answer ?? {
      status: 200,
      body: JSON.stringify({ keys: this.#keys.map(({ publicJwk }) => publicJwk) }),
    };
    // Without keep-alive, so that the server can be stopped at any time.
    response.writeHead(status, { connection: 'close' }).end(body);
  });

  private constructor(key: Key) {
    this.#key = key;
    this.#keys = [key];
  }

  /** Starts a provider, which is stopped after the tests of the file. */
  static async start(): Promise<Provider> {
    const provider = new Provider(await makeKey());
    await provider.up();
    atEnd(() => provider.down());
    return provider;
  }

  get key(): Key {
    return this.#key;
  }

  get config(): IdentityProvider {
    const { AUTH_JWKS_URL: jwksUrl = '' } = this.env;
    const claims = { usernameClaim: 'preferred_username', nameClaim: 'name', pictureClaim: 'picture' };
    return { jwksUrl, issuer: this.issuer, audience: AUDIENCE, ...claims };
  }

  /** The settings of a node that accepts its tokens. */
  get env(): Record<string, string> {
    return {
      AUTH_JWKS_URL: `http://127.0.0.1:${this.#port}/keys`,
      AUTH_ISSUER: this.issuer,
      AUTH_AUDIENCE: AUDIENCE,
    };
  }

  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** From now on it signs with another key; the previous one is no longer served. */
  rotate(key: Key): void {
    this.#key = key;
    this.#keys = [key];
  }

  /** The claims of a valid token, overridden by `more`. */
  claims(sub: string, more: Claims = {}): Claims {
    return { iss: this.issuer, aud: AUDIENCE, sub, iat: now(), exp: now() + 600, ...more };
  }

  /** A signed token. Claims that are `undefined` are omitted. The header names the key if it has a `kid`. */
  sign(sub: string, more: Claims = {}, key: SigningKey = this.#key): Promise<string> {
    const { alg, kid } = key;
    const header = kid === undefined ? { alg } : { alg, kid };
    return new SignJWT(this.claims(sub, more)).setProtectedHeader(header).sign(key.privateKey);
  }
}
