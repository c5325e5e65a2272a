import { type Client, type ClientOptions, createClient } from 'graphql-ws';

export interface Tokens {
  accessToken: string;
  refreshToken: string | null;
}

/** The user's session on this device: keeps the tokens and renews them. */
export class Session {
  readonly url: string;
  #tokens: Tokens | undefined;
  #renewal: Promise<boolean> | undefined;

  constructor(url: string) {
    this.url = url;
  }

  /** Stores the tokens that `register` or `login` returned. Without tokens, the user is signed out. */
  signIn(tokens?: Tokens): void {
    this.#tokens = tokens;
  }

  get accessToken(): string | undefined {
    return this.#tokens?.accessToken;
  }

  /**
   * Call this with the access token that the server rejected. Resolves to true if there is another one now, so that the
   * request can be retried. A refresh token can be used once, and a second use ends the session: concurrent calls
   * therefore share one renewal.
   */
  renew(refused: string | undefined, ask: Ask = this.#askOverHttp): Promise<boolean> {
    if (refused !== this.accessToken) return Promise.resolve(this.accessToken !== undefined);
    this.#renewal ??= this.#refresh(ask).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #refresh(ask: Ask): Promise<boolean> {
    const refreshToken = this.#tokens?.refreshToken;
    if (refreshToken == null) return false;
    const query = `mutation ($input: RefreshSessionInput!) {
      refreshSession(input: $input) { tokens { accessToken refreshToken } }
    }`;
    try {
      const { data, errors } = await ask({ query, variables: { input: { refreshToken } } });
      if (isUnauthenticated(errors)) this.signIn();
      else if (data?.refreshSession) this.signIn(data.refreshSession.tokens);
      return data?.refreshSession != null;
    } catch {
      // The server cannot be reached. The tokens remain valid.
      return false;
    }
  }

  readonly #askOverHttp: Ask = async (payload) => {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(payload),
    });
    return response.json();
  };
}

type Ask = (payload: { query: string; variables: Record<string, unknown> }) => Promise<{
  data?: { refreshSession?: { tokens: Tokens } | null } | null;
  errors?: readonly { extensions?: Record<string, unknown> }[];
}>;

/** Whether one of the errors means that the access token is missing, invalid or expired. */
export function isUnauthenticated(errors: readonly { extensions?: Record<string, unknown> }[] | undefined): boolean {
  return errors?.some(({ extensions }) => extensions?.['code'] === 'UNAUTHENTICATED') ?? false;
}

/**
 * Creates the WebSocket client for subscriptions. It reconnects after every disconnect, with a new token if the old one
 * was rejected, and closes a connection on which the server no longer answers pings.
 */
export function connectSocket(session: Session, options: Partial<ClientOptions> = {}): Client {
  const { keepAlive = 10_000 } = options;
  let sent: string | undefined;
  let refused = false;
  let silence: ReturnType<typeof setTimeout>;
  const client = createClient({
    url: session.url.replace(/^http/, 'ws'),
    // Called for each connection.
    async connectionParams() {
      if (refused) await session.renew(sent);
      refused = false;
      sent = session.accessToken;
      return sent === undefined ? {} : { authorization: sent };
    },
    on: {
      closed(event) {
        clearTimeout(silence);
        refused = (event as CloseEvent).code === 4403;
      },
      ping(received) {
        if (!received) silence = setTimeout(() => client.terminate(), keepAlive);
      },
      pong(received) {
        if (received) clearTimeout(silence);
      },
    },
    keepAlive,
    retryAttempts: Number.POSITIVE_INFINITY,
    // The default of graphql-ws doubles without a maximum.
    retryWait: (failures) => new Promise((resolve) => setTimeout(resolve, retryDelay(failures))),
    // By default, graphql-ws gives up if the server cannot be reached at all.
    shouldRetry: () => true,
    ...options,
  });
  return { ...client, subscribe: resuming(client) };
}

/** Milliseconds before the next attempt: at most 30 seconds, with jitter. */
export const retryDelay = (failures: number): number => Math.random() * Math.min(30_000, 500 * 2 ** failures);

/**
 * Renews the session over its open WebSocket, which keeps its subscriptions. Call it before the token expires
 * (`accessTokenExpiresAt`). Resolves to true if there is a new token.
 */
export function renewInBand(session: Session, socket: Client): Promise<boolean> {
  return session.renew(
    session.accessToken,
    (payload) =>
      new Promise((resolve, reject) => {
        const forget = socket.on('closed', () => {
          // graphql-ws would send the mutation again, and a second use of the refresh token ends the session.
          cancel();
          reject(new Error('The socket was closed.'));
        });
        const cancel = socket.subscribe(payload, {
          next: (result) => resolve(result as never),
          error(error) {
            forget();
            reject(error);
          },
          complete: forget,
        });
      }),
  );
}

/**
 * After a reconnect, graphql-ws sends each subscription again with its original variables. This sets `$after` to the
 * cursor of the last event, so that missed events are delivered. It applies to subscriptions that have this variable and
 * select `cursor`.
 */
function resuming(client: Client): Client['subscribe'] {
  return (payload, sink) => {
    const variables = { ...payload.variables };
    return client.subscribe<Record<string, { cursor?: string }>, unknown>(
      { ...payload, variables },
      {
        ...sink,
        next(result) {
          for (const event of Object.values(result.data ?? {})) if (event?.cursor) variables['after'] = event.cursor;
          sink.next(result as never);
        },
      },
    );
  };
}
