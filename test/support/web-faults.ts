import type { Page, WebSocket } from 'playwright-core';
import type { Person } from './client.js';
import { form } from './fleet.js';
import { type Mode, modes } from './place.js';
import { rows } from './web-app.js';

/** The modes make no difference for the client; the long form tests both nevertheless. */
export const faultModes: Mode[] = form(modes.slice(-1), modes);

/** The WebSockets of a page, of which a client has at most one. */
export interface PageSockets {
  /** The number of those that are open. */
  readonly open: number;
  /** The number of those that have been opened. */
  readonly total: number;
}

/** Counts the WebSockets of a page from now on. */
export function countSockets(page: Page): PageSockets {
  const open = new Set<WebSocket>();
  let total = 0;
  page.on('websocket', (socket) => {
    // It is open when the server has sent something.
    socket.once('framereceived', () => {
      total += 1;
      open.add(socket);
    });
    socket.once('close', () => open.delete(socket));
  });
  return {
    get open() {
      return open.size;
    },
    get total() {
      return total;
    },
  };
}

/** The texts of the messages that a page displays, in their order. */
export const textsOf = (page: Page): Promise<string[]> => rows(page).locator('[data-text]').allTextContents();

/** The texts of the last 100 messages that are stored. */
export async function storedTexts(person: Person, conversationId: string): Promise<string[]> {
  const { conversation } = await person.ask(
    'query ($id: ID!) { conversation(id: $id) { messages(last: 100) { nodes { text } } } }',
    { id: conversationId },
  );
  return conversation.messages.nodes.map(({ text }: { text: string }) => text);
}

/** The texts of a series of messages: `<name> 1`, `<name> 2` and so on. */
export const series = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name} ${index + 1}`);

/** Those of a series, in the order in which they are in a list. */
export const ofSeries = (name: string, texts: readonly string[]): string[] =>
  texts.filter((text) => text.startsWith(`${name} `));
