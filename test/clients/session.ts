import { type Client, type ClientOptions, createClient } from 'graphql-ws';

export interface Tokens {
  accessToken: string;
  refreshToken: string | null;
}

/** Who is signed in on this device: keeps the tokens and renews them. */
export class Session {
  readonly url: string;
  #tokens: Tokens | undefined;
  #renewal: Promise<boolean> | undefined;

  constructor(url: string) {
    this.url = url;
  }

  /** With what `register` or `login` answered; without: nobody is signed in any more. */
  signIn(tokens?: Tokens): void {
    this.#tokens = tokens;
  }

  get accessToken(): string | undefined {
    return this.#tokens?.accessToken;
  }

  /**
   * To be called with the token that the server refused. True: there is another one now, try again. A refresh token is
   * good for one use, and a second use ends the session: so whoever comes meanwhile waits for the same renewal.
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
      // The server is out of reach: the tokens are still good.
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

/** Whether one of the errors says that the access token is no good, or missing. */
export function isUnauthenticated(errors: readonly { extensions?: Record<string, unknown> }[] | undefined): boolean {
  return errors?.some(({ extensions }) => extensions?.['code'] === 'UNAUTHENTICATED') ?? false;
}

/**
 * The WebSocket for subscriptions: it comes back by itself, with a new token where the old one was refused, and also
 * when the other side has fallen silent.
 */
export function connectSocket(session: Session, options: Partial<ClientOptions> = {}): Client {
  const { keepAlive = 10_000 } = options;
  let sent: string | undefined;
  let refused = false;
  let silence: ReturnType<typeof setTimeout>;
  const client = createClient({
    url: session.url.replace(/^http/, 'ws'),
    // Asked anew for every connection.
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
    // graphql-ws's own doubles without end.
    retryWait: (failures) => new Promise((resolve) => setTimeout(resolve, retryDelay(failures))),
    // By default a server that cannot be reached at all is not tried again.
    shouldRetry: () => true,
    ...options,
  });
  return { ...client, subscribe: resuming(client) };
}

/** Milliseconds before the next try: up to 30 seconds, and for everybody another, so that they do not come at once. */
export const retryDelay = (failures: number): number => Math.random() * Math.min(30_000, 500 * 2 ** failures);

/**
 * Renews the session over its own open socket, which goes on with its streams: to be called before the token expires
 * (`accessTokenExpiresAt`). True: there is a new one.
 */
export function renewInBand(session: Session, socket: Client): Promise<boolean> {
  return session.renew(
    session.accessToken,
    (payload) =>
      new Promise((resolve, reject) => {
        const forget = socket.on('closed', () => {
          // Sent again, as graphql-ws would, the used token would end the session.
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
 * After a break graphql-ws sends a subscription again as it was. Here with the cursor of the last event as `$after`, so
 * that what happened meanwhile comes too. For subscriptions that have this variable and select `cursor`.
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
