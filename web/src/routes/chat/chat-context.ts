import { createContext, useContext } from 'react';

/** The functions of the conversations page that its parts call. */
export interface ChatActions {
  /** Opens the search, limited to a conversation if one is given. */
  openSearch(conversationId?: string): void;
  /** Opens the dialog that begins a conversation. */
  openPeople(): void;
  /** Opens the list of what was changed in messages that the viewer had read. */
  openMissed(): void;
  /** The messages that the search has found. */
  hits: readonly Hit[];
}

export interface Hit {
  conversationId: string;
  seq: number;
}

export const ChatContext = createContext<ChatActions>({ openSearch() {}, openPeople() {}, openMissed() {}, hits: [] });

export const useChat = (): ChatActions => useContext(ChatContext);
