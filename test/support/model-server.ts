import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json } from './client.js';
import { atEnd } from './ending.js';

/** The question that the model received: the instructions, the fenced material by line, and the whole text. */
export interface Question {
  system: string;
  user: string;
  lines: Json[];
  body: Json;
  headers: Json;
}

/** A reply of the model: a text, an object (sent as JSON), or a function that writes the response. */
export type Reply = string | object | ((question: Question, response: ServerResponse) => unknown);

/** A reply with one highlight for each of the first messages and points of the question. */
export const faithful = ({ lines }: Question) => ({
  summary: 'The model sums it up.',
  highlights: lines.slice(0, 6).map((line, index) => ({
    text: line.point ? `again ${line.point}` : `${line.from} wrote: ${line.text}`,
    kind: 'NEWS',
    topic: index,
    messages: line.point ? line.messages : [line.n],
  })),
});

/** A fake server with OpenAI's chat completions API. It is stopped after the tests of the file. */
export class FakeModelServer {
  readonly questions: Question[] = [];
  /** The default reply. */
  reply: Reply = faithful;
  /** Replies to the next questions, in order, before the default reply is used. */
  readonly next: Reply[] = [];
  usage: object | undefined = { prompt_tokens: 900, completion_tokens: 100, total_tokens: 1_000 };
  #port = 0;
  readonly #server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text);
    const [{ content: system }, { content: user }] = body.messages;
    const [, material = ''] = /<chat-\w+>\n([\s\S]*)\n<\/chat-\w+>/.exec(user) ?? [];
    const lines = material.split('\n').map((line) => JSON.parse(line));
    const question = { system, user, lines, body, headers: request.headers };
    this.questions.push(question);
    const reply = this.next.shift() ?? this.reply;
    const said = typeof reply === 'function' ? await reply(question, response) : reply;
    if (response.headersSent || said === undefined) return;
    this.say(response, typeof said === 'string' ? said : JSON.stringify(said));
  });

  static async start(): Promise<FakeModelServer> {
    const server = new FakeModelServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    server.#port = (server.#server.address() as AddressInfo).port;
    atEnd(() => {
      server.#server.closeAllConnections();
      server.#server.close();
    });
    return server;
  }

  get env() {
    return { SUMMARY_BASE_URL: `http://127.0.0.1:${this.#port}/v1`, SUMMARY_MODEL: 'tiny-1', SUMMARY_API_KEY: 'a key' };
  }

  /** Sends a completion with this content. */
  say(response: ServerResponse, content: string | null, message: object = {}): void {
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content, ...message }, finish_reason: 'stop' }],
        usage: this.usage,
      }),
    );
  }

  /** Removes the questions and restores the default reply. */
  reset(): void {
    this.questions.length = 0;
    this.next.length = 0;
    this.reply = faithful;
  }
}

/** Responds with this status and no completion. */
export const status =
  (code: number, headers: Record<string, string> = {}): Reply =>
  (_question, response) =>
    void response.writeHead(code, { 'content-type': 'application/json', ...headers }).end('{"error":{"message":"no"}}');
