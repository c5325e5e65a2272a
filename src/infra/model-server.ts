import OpenAI from 'openai';
import pLimit from 'p-limit';

/** The model server that writes summaries. */
export interface SummaryServer {
  baseUrl: string;
  model: string;
  apiKey: string | undefined;
  /** For one call, and for all calls of one summary. */
  timeoutMs: number;
  deadlineMs: number;
  callsMax: number;
  inputMax: number;
  tokensMax: number;
  tokensWindowMs: number;
}

/** A server that answers as OpenAI's chat completions do. */
export interface ModelServer {
  readonly model: string;
  /**
   * What the model says to a text, at most `callsMax` at once. Nothing but the model and the messages is sent along, for
   * servers differ in the rest.
   * @throws {ModelError}
   */
  ask(question: { system: string; user: string }, signal: AbortSignal): Promise<ModelAnswer>;
}

export interface ModelAnswer {
  text: string;
  /** What it cost, if the server says so. */
  tokens: number | undefined;
}

/** The server could not be asked, or gave no answer. */
export class ModelError extends Error {
  override name = 'ModelError';
  /** Whether it is the server, and not what the model made of this one question. */
  readonly isServers: boolean;
  /** Whether the same question may be answered another time. */
  readonly mayPass: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    details: { isServers?: boolean; mayPass?: boolean; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.isServers = details.isServers ?? false;
    this.mayPass = details.mayPass ?? true;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Most characters of an answer that are looked at. */
const ANSWER_MAX = 200_000;

export function createModelServer(server: SummaryServer): ModelServer {
  const { baseUrl, model, apiKey, timeoutMs, callsMax } = server;
  // Nothing of the environment: what is said in SUMMARY_… is all that is said. Who tries again is whoever asks.
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? 'none',
    organization: null,
    project: null,
    ...(apiKey === undefined ? { defaultHeaders: { Authorization: null } } : {}),
    timeout: timeoutMs,
    maxRetries: 0,
    logLevel: 'off',
  });
  const limit = pLimit(callsMax);
  return {
    model,
    ask: ({ system, user }, signal) =>
      limit(async () => {
        const messages = [
          { role: 'system', content: system },
          { role: 'user', content: user },
        ] as const;
        // The client's own timeout ends with the headers: a body that never ends is cut off by this one.
        const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        try {
          const answer = await client.chat.completions.create({ model, messages: [...messages] }, { signal: patience });
          const message = answer?.choices?.[0]?.message;
          const text = message?.content;
          if (typeof text !== 'string' || text.trim() === '' || message?.refusal) {
            throw new ModelError('the model server did not respond');
          }
          return { text: text.slice(0, ANSWER_MAX), tokens: answer.usage?.total_tokens };
        } catch (error) {
          throw error instanceof ModelError ? error : modelError(error, patience);
        }
      }),
  };
}

/** Statuses that another try does not change: the key, the model's name or the address is wrong. */
const FINAL = [400, 401, 403, 404, 422];

function modelError(error: unknown, patience: AbortSignal): ModelError {
  const isServers = true;
  if (patience.aborted) return new ModelError('the model server did not respond in time', { isServers, cause: error });
  if (!(error instanceof OpenAI.APIError)) {
    return new ModelError('the model server sent an invalid response', { isServers, cause: error });
  }
  const status = error.status as number | undefined;
  const after = Number(error.headers?.get('retry-after'));
  return new ModelError(
    status === undefined ? 'the model server is unreachable' : `the model server responded with status ${status}`,
    {
      isServers,
      mayPass: status === undefined || !FINAL.includes(status),
      retryAfterMs: Number.isFinite(after) && after > 0 ? after * 1_000 : undefined,
      cause: error,
    },
  );
}
