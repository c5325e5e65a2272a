import type OpenAI from 'openai';
import pLimit from 'p-limit';

/** The configuration of the model server that writes summaries. */
export interface SummaryServer {
  baseUrl: string;
  model: string;
  apiKey: string | undefined;
  /** The time limits of one call, and of all calls for one summary together. */
  timeoutMs: number;
  deadlineMs: number;
  callsMax: number;
  inputMax: number;
  tokensMax: number;
  tokensWindowMs: number;
}

/** A client of a server with OpenAI's chat completions API. */
export interface ModelServer {
  readonly model: string;
  /**
   * Sends one question to the model. At most `callsMax` calls run at once. Only the model and the messages are sent,
   * because servers support different sets of parameters.
   * @throws {ModelError} if the server cannot be reached, or does not give a usable answer.
   */
  ask(question: { system: string; user: string }, signal: AbortSignal): Promise<ModelAnswer>;
}

export interface ModelAnswer {
  text: string;
  /** The number of tokens used, if the server reports it. */
  tokens: number | undefined;
}

/** The model server could not be reached, or gave no usable answer. */
export class ModelError extends Error {
  override name = 'ModelError';
  /** Whether the failure concerns the server as a whole, and not this question only. */
  readonly isServerFault: boolean;
  /** Whether the same question may succeed later. */
  readonly isTemporary: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    details: {
      isServerFault?: boolean;
      isTemporary?: boolean;
      retryAfterMs?: number | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.isServerFault = details.isServerFault ?? false;
    this.isTemporary = details.isTemporary ?? true;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The maximum length of an answer in characters; the rest is ignored. */
const ANSWER_MAX = 200_000;

export function createModelServer(server: SummaryServer): ModelServer {
  const { baseUrl, model, apiKey, timeoutMs, callsMax } = server;
  // The library is only loaded on nodes that use it, because it has a sixth of all modules of a node.
  const loading = import('openai').then(({ OpenAI: Client }) => {
    // Only the settings SUMMARY_… apply: the library's own environment variables are ignored, and so are its retries,
    // because the caller retries.
    const client = new Client({
      baseURL: baseUrl,
      apiKey: apiKey ?? 'none',
      organization: null,
      project: null,
      ...(apiKey === undefined ? { defaultHeaders: { Authorization: null } } : {}),
      timeout: timeoutMs,
      maxRetries: 0,
      logLevel: 'off',
    });
    return { client, ApiError: Client.APIError };
  });
  // Each call reports a failure.
  loading.catch(() => {});
  const limit = pLimit(callsMax);
  return {
    model,
    ask: ({ system, user }, signal) =>
      limit(async () => {
        const { client, ApiError } = await loading;
        const messages = [
          { role: 'system', content: system },
          { role: 'user', content: user },
        ] as const;
        // The client's own timeout only covers the time until the headers; this signal also aborts a body that never
        // ends.
        const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        try {
          const answer = await client.chat.completions.create({ model, messages: [...messages] }, { signal: deadline });
          const message = answer?.choices?.[0]?.message;
          const text = message?.content;
          if (typeof text !== 'string' || text.trim() === '' || message?.refusal) {
            throw new ModelError('the model server did not respond');
          }
          return { text: text.slice(0, ANSWER_MAX), tokens: answer.usage?.total_tokens };
        } catch (error) {
          throw error instanceof ModelError ? error : modelError(error, deadline, ApiError);
        }
      }),
  };
}

/** Statuses for which a retry is useless, because the key, the model or the address is wrong. */
const PERMANENT_STATUSES = [400, 401, 403, 404, 422];

function modelError(error: unknown, deadline: AbortSignal, ApiError: typeof OpenAI.APIError): ModelError {
  const isServerFault = true;
  if (deadline.aborted)
    return new ModelError('the model server did not respond in time', { isServerFault, cause: error });
  if (!(error instanceof ApiError)) {
    return new ModelError('the model server sent an invalid response', { isServerFault, cause: error });
  }
  const status = error.status as number | undefined;
  const after = Number(error.headers?.get('retry-after'));
  return new ModelError(
    status === undefined ? 'the model server is unreachable' : `the model server responded with status ${status}`,
    {
      isServerFault,
      isTemporary: status === undefined || !PERMANENT_STATUSES.includes(status),
      retryAfterMs: Number.isFinite(after) && after > 0 ? after * 1_000 : undefined,
      cause: error,
    },
  );
}
