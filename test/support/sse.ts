import type { Json } from './client.js';
import { MESSAGES } from './talk.js';

/** The events of one SSE request. */
export interface SseStream {
  response: Response;
  results: Json[];
  /** Whether the server sent `complete`. */
  completed: boolean;
  /** Whether the response has ended in any way. */
  closed: boolean;
  /** Resolves when the response has ended. */
  ended: Promise<void>;
  cancel(): void;
}

/** Opens one subscription over SSE, as any client with `fetch` can. Rejects if there is no response. */
export async function openSse(
  url: string,
  token: string | undefined,
  variables: Json = {},
  onResult: (result: Json) => void = () => {},
  query = MESSAGES,
): Promise<SseStream> {
  const abort = new AbortController();
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query, variables }),
    signal: abort.signal,
  });
  const read = async () => {
    let rest = '';
    for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        if (/^event: ?complete$/m.test(block)) stream.completed = true;
        else if (/^event: ?next$/m.test(block)) {
          const result: Json = JSON.parse(block.slice(block.indexOf('data:') + 5));
          stream.results.push(result);
          onResult(result);
        }
      }
    }
  };
  const stream = { response, results: [] as Json[], completed: false, closed: false, cancel: () => abort.abort() };
  const ended = read()
    .catch(() => {})
    .finally(() => {
      stream.closed = true;
    });
  return Object.assign(stream, { ended });
}
