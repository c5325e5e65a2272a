import type { ConversationHandle, Message, User } from '@parley/client';
import { createContext, useContext } from 'react';

/**
 * The functions of an open conversation that its messages and files call. The object remains the same as long as the
 * conversation is open.
 */
export interface PaneActions {
  handle: ConversationHandle;
  reply(message: Message): void;
  edit(message: Message): void;
  /** Asks whether the message is to be deleted. */
  remove(message: Message): void;
  showDetails(message: Message): void;
  /** Explains why the viewer was or was not notified of a message. */
  showNotified(message: Message): void;
  /** Asks why a message is reported to the moderators of the server. */
  report(message: Message): void;
  showUser(user: Pick<User, 'id'>): void;
  /** Scrolls to a message, and loads it if necessary. */
  jump(seq: number): void;
}

export const PaneContext = createContext<PaneActions | undefined>(undefined);

export function usePane(): PaneActions {
  const actions = useContext(PaneContext);
  if (!actions) throw new Error('There is no PaneContext.Provider.');
  return actions;
}
