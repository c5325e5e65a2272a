import type { Outbox } from './outbox.js';
import type { Request } from './request.js';
import type { SessionManager } from './session.js';
import type { Socket } from './socket.js';
import type { Store } from './store.js';
import type { Sync } from './sync.js';

/** The parts of a client that the other entry points of the package use. */
export interface Context {
  /** The address of the API. */
  url: string;
  outbox: Outbox;
  /** Whether this tab synchronizes. It changes at the latest with the next change of the state. */
  isLeader: () => boolean;
  store: Store;
  sync: Sync;
  session: SessionManager;
  socket: Socket;
  request: Request;
}

const contexts = new WeakMap<object, Context>();

export const setContext = (parley: object, context: Context): void => void contexts.set(parley, context);

export function contextOf(parley: object): Context {
  const context = contexts.get(parley);
  if (!context) throw new TypeError('Pass the object that createParley returned.');
  return context;
}

/** Returns a function that creates an object of each client once. */
export function once<T>(create: (parley: object) => T): (parley: object) => T {
  const created = new WeakMap<object, T>();
  return (parley) => {
    let found = created.get(parley);
    if (found === undefined) {
      found = create(parley);
      created.set(parley, found);
    }
    return found;
  };
}
