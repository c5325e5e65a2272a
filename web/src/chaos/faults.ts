/** For how long a tab is frozen, in milliseconds: longer than the other tabs wait until they replace it. */
export const FREEZE_MS = 5_000;

export type Fault = 'cut' | 'lost' | 'expired' | 'frozen';

/** Causes the failures that networks and servers cause. */
export interface Faults {
  /** How often each has occurred. */
  readonly counts: Readonly<Record<Fault, number>>;
  cause(fault: Fault): void;
}

/** Replaces the WebSocket and `fetch` of the page. Call it before a client is created. */
export function installFaults(): Faults {
  const counts = { cut: 0, lost: 0, expired: 0, frozen: 0 };
  const sockets = new Set<FaultySocket>();
  let isNextLost = false;
  let isNextExpired = false;

  class FaultySocket extends WebSocket {
    #isCut = false;

    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      sockets.add(this);
      // Added before every other listener: after a cut, nothing arrives.
      this.addEventListener('message', (event) => this.#isCut && event.stopImmediatePropagation());
      this.addEventListener('close', () => sockets.delete(this));
    }

    cut(code: number): void {
      this.#isCut = true;
      this.close(code);
    }
  }
  globalThis.WebSocket = FaultySocket;

  const realFetch = globalThis.fetch;
  globalThis.fetch = async (input, init = {}) => {
    const headers = new Headers(init.headers);
    if (isNextExpired && headers.has('authorization')) {
      isNextExpired = false;
      counts.expired += 1;
      headers.set('authorization', 'Bearer expired');
    }
    const isLost = isNextLost;
    isNextLost = false;
    const response = await realFetch(input, { ...init, headers });
    if (!isLost) return response;
    counts.lost += 1;
    throw new TypeError('The response was lost.');
  };

  const cut = (code: number) => {
    for (const socket of sockets) socket.cut(code);
    return sockets.size > 0;
  };
  return {
    counts,
    cause(fault) {
      if (fault === 'cut' && cut(4000)) counts.cut += 1;
      // The server executes the request all the same.
      if (fault === 'lost') isNextLost = true;
      if (fault === 'expired') {
        isNextExpired = true;
        cut(4403);
      }
      if (fault === 'frozen') {
        counts.frozen += 1;
        const end = performance.now() + FREEZE_MS;
        // Nothing else runs in this tab meanwhile, and it answers no other tab.
        while (performance.now() < end);
      }
    },
  };
}
