import { isHidden, pause } from './pause.js';

/** How often a visible tab asks whether the leader answers, in milliseconds. */
const ASK_EVERY = 700;
/** After how many unanswered questions a tab replaces the leader. */
const UNANSWERED_MAX = 2;

export interface TabsOptions {
  /** Identifies the data that the tabs share. */
  name: string;
  /** Called when this tab becomes the leader. */
  lead: () => void;
  /** Called when this tab is no longer the leader. */
  follow: () => void;
  /** Called with each message of another tab. */
  receive: (message: unknown) => void;
  /** Whether the leader waits before it tries to connect again. */
  isWaiting: () => boolean;
  /** Called when another tab has been opened, if this tab is the leader. */
  greet: () => void;
}

export type Tabs = ReturnType<typeof createTabs>;

/**
 * Elects one tab as the leader, which has the only WebSocket. Without Web Locks (a page that is not a secure context)
 * every tab leads itself.
 *
 * The leader holds a lock, which the browser releases when the tab is closed. A tab that the browser has frozen keeps
 * its lock: visible tabs therefore ask the leader every second, and replace it if it does not answer. The leader answers
 * messages and needs no timer, because browsers slow down the timers of hidden tabs. For the same reason visible tabs
 * replace a hidden leader that has no connection: its attempts are rare.
 */
export function createTabs(options: TabsOptions, isShared: boolean) {
  const { navigator, BroadcastChannel: Channel } = globalThis;
  const locks = isShared && Channel ? navigator?.locks : undefined;
  let channel = locks && new Channel(options.name);
  let isLeader = false;
  let isClosed = false;
  let unanswered = 0;
  let release = () => {};
  if (channel) channel.onmessage = ({ data }) => receive(data);

  function start(): void {
    if (!locks) {
      lead();
      return;
    }
    send({ ask: true, isNew: true });
    void queue();
    void watch();
  }

  /** Sends a message to the other tabs. */
  function send(message: object): void {
    channel?.postMessage(message);
  }

  /** Stops leading, because another tab has replaced this one. This tab can become the leader again later. */
  function stepDown(): void {
    release();
  }

  function close(): void {
    isClosed = true;
    release();
    follow();
    channel?.close();
    // Work that continues after the client was closed, such as an upload, must not fail because of it.
    channel = undefined;
  }

  /** Waits for the lock, and waits for it again after it was lost. */
  async function queue(steal = false): Promise<void> {
    try {
      await locks?.request(options.name, { steal }, async () => {
        if (isClosed || isLeader) return;
        const released = new Promise<void>((resolve) => {
          release = resolve;
        });
        lead();
        await released;
      });
    } catch {
      // Another tab has taken the lock.
    }
    follow();
    if (!isClosed && !steal) {
      // A tab that has stepped down must not take the lock again before the others.
      await pause(ASK_EVERY);
      if (!isClosed) void queue();
    }
  }

  async function watch(): Promise<void> {
    while (!isClosed) {
      await pause(ASK_EVERY);
      if (isClosed || isLeader || isHidden()) {
        unanswered = 0;
        continue;
      }
      if (unanswered >= UNANSWERED_MAX) {
        unanswered = 0;
        void queue(true);
      } else {
        unanswered += 1;
        send({ ask: true });
      }
    }
  }

  function receive(message: { ask?: boolean; isNew?: boolean; answer?: boolean; isHidden?: boolean }): void {
    if (message.answer) {
      if (!message.isHidden || !options.isWaiting()) unanswered = 0;
    } else if (!message.ask) {
      options.receive(message);
    } else if (isLeader) {
      send({ answer: true, isHidden: isHidden() });
      if (message.isNew) options.greet();
    }
  }

  function lead(): void {
    isLeader = true;
    send({ answer: true });
    options.lead();
  }

  function follow(): void {
    if (!isLeader) return;
    isLeader = false;
    options.follow();
  }

  return { isLeader: () => isLeader, start, send, stepDown, close };
}
