import type { Json } from './client.js';
import { MESSAGES } from './talk.js';

/** What came over one request. */
export interface SseStream {
  response: Response;
  results: Json[];
  /** The server said that it is over; or it ended in whatever way. */
  completed: boolean;
  closed: boolean;
  /** Resolves when it has ended. */
  ended: Promise<void>;
  cancel(): void;
}

/** One subscription over SSE, as any client with `fetch` can have it. Rejects when there is no answer. */
export async function openSse(
  url: string,
  token: string | undefined,
  variables: Json = {},
  onResult: (result: Json) => void = () => {},
): Promise<SseStream> {
  const abort = new AbortController();
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query: MESSAGES, variables }),
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
