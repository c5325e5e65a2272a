import { ConfigError } from '../../infra/config/config-error.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer, name, text, url } from '../../infra/config/kinds.js';
import type { SummaryServer } from '../../infra/model-server.js';

export const summarySettings = defineSettings(
  'Summaries',
  {
    SUMMARY_MESSAGES_MAX: setting(integer(10, 100_000), {
      default: '20000',
      description: 'The maximum number of messages in one summary.',
      clientDescription: 'The maximum number of messages that one summary covers.',
    }),
    SUMMARY_HIGHLIGHTS_MAX: setting(integer(1, 50), {
      default: '12',
      description: 'The maximum number of points in a summary.',
    }),
    SUMMARIES_KEPT: setting(integer(1, 10_000), {
      default: '100',
      description: 'The maximum number of summaries kept per conversation. The oldest ones are deleted.',
    }),
    SUMMARIES_PER_PERSON_MAX: setting(integer(1, 1_000), {
      default: '2',
      description:
        'The maximum number of summaries that a node makes at the same time for one user. Twenty more can wait; a further one fails with `RATE_LIMITED`.',
    }),
    SUMMARY_QUEUE_MAX: setting(integer(1, 10_000), {
      default: '50',
      description:
        'The maximum number of summaries that wait for a worker thread of a node. Further ones fail with `UNAVAILABLE`.',
    }),
    SUMMARY_BASE_URL: setting(url('https', 'http'), {
      description:
        'The OpenAI-compatible model server that writes summaries, up to and including `/v1`. `SUMMARY_BASE_URL` and `SUMMARY_MODEL` must be set together. See docs/SUMMARIES.md.',
      whenUnset: 'the embedded summarizer, with which no text leaves the machine',
      example: 'https://models.example.com/v1',
    }),
    SUMMARY_MODEL: setting(name(200), { description: 'The name of the model at the model server.' }),
    SUMMARY_API_KEY: setting(text, { description: 'The API key for the model server, if it requires one.' }),
    SUMMARY_TIMEOUT: setting(duration(), {
      default: '60s',
      description: 'How long one call of the model server may take. A failed call is retried once.',
    }),
    SUMMARY_DEADLINE: setting(duration(), {
      default: '5m',
      description:
        'How long the model server may take for one summary in total. Then the embedded summarizer makes the summary.',
    }),
    SUMMARY_CALLS_MAX: setting(integer(1, 100), {
      default: '4',
      description: 'The maximum number of simultaneous calls from one node to the model server.',
    }),
    SUMMARY_INPUT_MAX: setting(integer(1_000, 1_000_000), {
      default: '24000',
      description:
        'The maximum number of characters of messages in one call of the model server. Longer ranges are split into several calls.',
    }),
    SUMMARY_TOKENS_MAX: setting(integer(1, 1_000_000_000), {
      default: '200000',
      description:
        'The maximum number of model tokens that the summaries of one user can use within `SUMMARY_TOKENS_WINDOW`. Further summaries fail with `RATE_LIMITED`.',
    }),
    SUMMARY_TOKENS_WINDOW: setting(duration(), {
      default: '1d',
      description: 'The period in which the model tokens of a user are counted. It begins with the first token.',
    }),
  },
  (values) => {
    const { summaryBaseUrl, summaryModel, summaryApiKey, summaryTimeoutMs, summaryDeadlineMs, ...others } = values;
    const { summaryCallsMax, summaryInputMax, summaryTokensMax, summaryTokensWindowMs, ...config } = others;
    let summaryServer: SummaryServer | undefined;
    if (summaryBaseUrl !== undefined && summaryModel !== undefined) {
      summaryServer = {
        baseUrl: summaryBaseUrl,
        model: summaryModel,
        apiKey: summaryApiKey,
        timeoutMs: summaryTimeoutMs,
        deadlineMs: summaryDeadlineMs,
        callsMax: summaryCallsMax,
        inputMax: summaryInputMax,
        tokensMax: summaryTokensMax,
        tokensWindowMs: summaryTokensWindowMs,
      };
    } else if (summaryBaseUrl ?? summaryModel ?? summaryApiKey) {
      const missing = summaryBaseUrl === undefined ? 'SUMMARY_BASE_URL' : 'SUMMARY_MODEL';
      throw new ConfigError(`${missing}: must be set: SUMMARY_BASE_URL and SUMMARY_MODEL are required together`);
    }
    return { ...config, summaryServer };
  },
);

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof summarySettings> {}
}
