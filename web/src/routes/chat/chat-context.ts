import { createContext, useContext } from 'react';

/** What parts of the conversations page ask of the page. */
export interface ChatActions {
  /** Opens the search, limited to a conversation if one is given. */
  openSearch(conversationId?: string): void;
  /** Opens the dialog that begins a conversation. */
  openPeople(): void;
}

export const ChatContext = createContext<ChatActions>({ openSearch() {}, openPeople() {} });

export const useChat = (): ChatActions => useContext(ChatContext);
