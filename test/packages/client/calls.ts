import { type Call, type CallView, callsOf } from '../../../packages/client/src/calls.js';
import type { Parley } from '../../../packages/client/src/index.js';

/** The parts of a page that show calls. */
export interface CallPage {
  /** Asks whether to answer; nothing if no call rings. */
  askAbout(call: Call | undefined): void;
  /** Shows the call of this tab; nothing if there is none. */
  showCall(view: CallView | undefined): void;
}

/** Rings for calls, and shows the one of this tab. */
export function followCalls(parley: Parley, page: CallPage): void {
  const calls = callsOf(parley);
  calls.ringing.subscribe(([first]) => page.askAbout(first));
  calls.current.subscribe((view) => page.showCall(view));
}

/** The texts about a call that a page shows. */
export function describeCall({ state, others }: CallView): string {
  const names = others.map(({ party }) => party.user.displayName).join(', ');
  const texts = {
    ringing: 'Ringing…',
    connecting: `Connecting with ${names}…`,
    connected: `Connected with ${names}`,
    reconnecting: 'Reconnecting…',
    ended: 'The call has ended',
  };
  return texts[state];
}
