import { ParleyError, responseError, toError } from './errors.js';
import { LoginDocument, LogoutDocument, RefreshSessionDocument, RegisterDocument } from './generated/documents.js';
import type { LoginInput, RegisterInput, ViewerFieldsFragment } from './generated/types.js';
import { dataOf, type Send } from './http.js';
import { pause, retryDelay } from './pause.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { normalize, type Store } from './store.js';

/** The tokens that `login`, `register`, `changePassword`, `resetPassword` and `createAccessToken` return. */
export interface Tokens {
  accessToken: string;
  refreshToken?: string | null | undefined;
}

/** The user who is signed in, with the private data that no other user sees. */
export type Viewer = ViewerFieldsFragment;

/** Whether a user is signed in on this device. */
export type SessionState =
  /** The stored session is being read. */
  | { status: 'loading' }
  /** No user is signed in. `ended` is true if the server has ended the session: ask the user to sign in again. */
  | { status: 'signedOut'; ended: boolean }
  /** `viewer` is undefined until it has been fetched. */
  | { status: 'signedIn'; viewer: Viewer | undefined };

/** The session of this device, shared by all tabs. */
export interface Session extends Readable<SessionState> {
  /**
   * Signs in with a password. Resolves after the session has been stored.
   * @throws ParleyError with `BAD_USER_INPUT` if the account or the password is wrong, or `RATE_LIMITED`.
   */
  signIn(input: LoginInput): Promise<void>;
  /**
   * Creates an account and signs in.
   * @throws ParleyError with `CONFLICT` if `field` is taken, `BAD_USER_INPUT` if it is invalid, or `FORBIDDEN` if the
   *   server does not let users create accounts.
   */
  signUp(input: RegisterInput): Promise<void>;
  /** Signs in with tokens of another mutation, such as `resetPassword` or `changePassword`. */
  useTokens(tokens: Tokens): Promise<void>;
  /**
   * Ends the session and removes all data of the user from this device, including messages that have not been sent.
   * If the server cannot be reached, the data is removed nevertheless.
   */
  signOut(): Promise<void>;
}

interface StoredSession {
  accessToken: string;
  refreshToken?: string | null | undefined;
  /** When to renew the access token, on the clock of this device. */
  renewAt?: number | undefined;
}

export interface SessionOptions {
  /** Identifies the data that all tabs share. */
  name: string;
  send: Send;
  /** Resolves when the stored session has been read. */
  loaded: () => Promise<void>;
  getToken: (() => Promise<string | null | undefined> | string | null | undefined) | undefined;
}

/** How many milliseconds before its expiry a token is renewed, unless it is valid for less than three times as long. */
const RENEW_BEFORE = 60_000;

export type SessionManager = ReturnType<typeof createSessionManager>;

/** Keeps the tokens, and renews them exactly once, whichever tab notices first that they have expired. */
export function createSessionManager(store: Store, options: SessionOptions) {
  const { state } = store;
  // Tokens of an identity provider are not stored: `getToken` returns them again.
  const key = options.getToken ? '~session' : 'session';
  let renewal: Promise<boolean> | undefined;
  let isClosed = false;
  // Until `getToken` has answered, it is unknown whether a user is signed in.
  if (options.getToken) state.set('~asking', true);

  const tokens = () => state.get<StoredSession>(key);
  const accessToken = () => tokens()?.accessToken;

  const value = state.derive<SessionState>(() => {
    const me = state.get<string>('me');
    const isAsking = state.get('~asking') !== undefined;
    if (tokens() || (isAsking && me)) return { status: 'signedIn', viewer: store.read(me) };
    if (isAsking || !state.get('~loaded')) return { status: 'loading' };
    return { status: 'signedOut', ended: state.get('~ended') ?? false };
  });
  const methods: Omit<Session, keyof Readable<SessionState>> = {
    signIn: (input) => enter(LoginDocument, input),
    signUp: (input) => enter(RegisterDocument, input),
    useTokens: (given) => adopt(given),
    signOut: async () => {
      await options.loaded();
      const token = accessToken();
      await end('all');
      if (token) await options.send(LogoutDocument, {}, token).catch(() => {});
    },
  };

  async function enter(document: typeof LoginDocument | typeof RegisterDocument, input: object): Promise<void> {
    const [answer] = Object.values(dataOf(await options.send(document as typeof LoginDocument, { input } as never)));
    await adopt(answer?.tokens, answer?.viewer);
  }

  /** Calls `getToken` for the first token. After a failure it is called again until it succeeds. */
  async function start(failures = 0): Promise<void> {
    if (isClosed || !state.get('~asking')) return;
    try {
      await renew(undefined);
      state.set('~asking', undefined);
    } catch {
      void pause(retryDelay(failures)).then((isWoken) => start(isWoken ? 0 : failures + 1));
    }
  }

  function close(): void {
    isClosed = true;
  }

  /**
   * Gets another access token than the one that the server has rejected or that expires soon. Concurrent calls share
   * one renewal, and tabs take turns, because a second use of a refresh token ends the session.
   * @returns false if no user is signed in any more.
   * @throws ParleyError with `NETWORK` if the server cannot be reached, or `UNAUTHENTICATED` if `getToken` has no other
   *   token yet. The tokens are kept.
   */
  function renew(refused: string | undefined, send?: Send): Promise<boolean> {
    if (refused !== accessToken()) return Promise.resolve(accessToken() !== undefined);
    renewal ??= renewLocked(refused, send).finally(() => {
      renewal = undefined;
    });
    return renewal;
  }

  async function renewLocked(refused: string | undefined, send: Send | undefined): Promise<boolean> {
    const { getToken, name } = options;
    if (getToken) {
      let token: string | null | undefined;
      try {
        token = await getToken();
      } catch (error) {
        throw toError(error);
      }
      if (token && token === refused) {
        throw new ParleyError('UNAUTHENTICATED', 'getToken returned the rejected token.');
      }
      if (!token) await end();
      // Without `renewAt`: only `getToken` determines when there is another token.
      else state.set('~session', { accessToken: token });
      return accessToken() !== undefined;
    }
    const { locks } = globalThis.navigator ?? {};
    const work = () => refresh(refused, send);
    return locks ? locks.request(`${name}:refresh`, work) : work();
  }

  async function refresh(refused: string | undefined, send: Send | undefined): Promise<boolean> {
    // Another tab may have renewed it, and its notice may not have arrived yet.
    const stored = (await store.storage.value('session')) as StoredSession | undefined;
    if (stored && stored.accessToken !== refused) {
      store.apply({ set: { session: stored } }, true);
      return true;
    }
    const { refreshToken } = tokens() ?? {};
    if (!refreshToken) {
      await end();
      return false;
    }
    try {
      const { refreshSession } = dataOf(
        await (send ?? options.send)(RefreshSessionDocument, { input: { refreshToken } }),
      );
      await save(refreshSession?.tokens as Tokens);
      return true;
    } catch (thrown) {
      const error = toError(thrown);
      if (!['UNAUTHENTICATED', 'BAD_USER_INPUT'].includes(error.code)) throw error;
      await end();
      return false;
    }
  }

  /** Signs in. Data of another user is removed. */
  async function adopt(given: Tokens | undefined, viewer?: Viewer): Promise<void> {
    if (!given) throw responseError([]);
    await options.loaded();
    const me = state.get<string>('me');
    if (viewer && me !== undefined && me !== viewer.id) await store.commit({ reset: 'all' });
    await save(given, viewer && { me: viewer.id }, viewer && normalize(viewer));
    state.set('~ended', undefined);
  }

  async function save({ accessToken, refreshToken }: Tokens, set?: { me: string }, put?: Entity[]) {
    const renewAt = renewalTime(accessToken);
    const stored: StoredSession = { accessToken, refreshToken, renewAt };
    await store.commitValues({ ...set, [key]: stored }, put);
  }

  async function end(reset?: 'all'): Promise<void> {
    state.set('~ended', !reset && accessToken() !== undefined);
    state.set('~session', undefined);
    state.set('~asking', undefined);
    await store.commit({ reset, set: { session: undefined } });
  }

  return {
    session: Object.assign(value, methods),
    start,
    renew,
    close,
    accessToken,
    /** When to renew the access token, on the clock of this device. */
    renewAt: () => tokens()?.renewAt,
  };
}

/**
 * When to renew a token, on the clock of this device. The clocks of devices are often wrong, so the lifetime is the
 * difference of two times of the server, counted from now.
 */
function renewalTime(token: string): number | undefined {
  try {
    const [, claims = ''] = token.split('.');
    const { exp, iat } = JSON.parse(atob(claims.replace(/-/g, '+').replace(/_/g, '/')));
    const lifetime = (exp - iat) * 1_000;
    return Date.now() + lifetime - Math.min(RENEW_BEFORE, lifetime / 3);
  } catch {
    // Without it, the token is renewed when the server rejects it.
    return undefined;
  }
}
