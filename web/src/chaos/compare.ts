interface Message {
  id: string;
  seq: number;
  text: string | null;
}

export interface Comparison {
  /** The messages of the server that are not displayed. */
  missing: string[];
  /** The messages that are displayed or stored more than once. */
  doubled: string[];
}

/**
 * Compares the messages that are displayed with the latest ones of the server, which have no gaps.
 * @param prefix of the texts that were sent once each: if the server has one twice, it was stored twice.
 */
export function compare(displayed: readonly Message[], stored: readonly Message[], prefix: string): Comparison {
  const ids = new Set(displayed.map(({ id }) => id));
  const missing = stored.filter(({ id }) => !ids.has(id)).map(({ id }) => id);
  const sent = stored.filter(({ text }) => text?.startsWith(prefix)).map(({ text }) => text ?? '');
  return { missing, doubled: [...repeated(displayed.map(({ id }) => id)), ...repeated(sent)] };
}

const repeated = (values: readonly string[]) => values.filter((value, index) => values.indexOf(value) !== index);
