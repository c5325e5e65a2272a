import { defineSettings, setting } from './define-settings.js';
import { bearerToken, integer, oneOf, share, text, url } from './kinds.js';

export const telemetrySettings = defineSettings(
  'Logs, metrics and traces',
  {
    LOG_LEVEL: setting(oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'), {
      default: 'info',
      description: 'The least severe level that is logged.',
      perNode: true,
    }),
    LOG_FORMAT: setting(oneOf('json', 'pretty'), {
      description: '`json` writes one object per line; `pretty` is easier to read.',
      whenUnset: '`pretty` on a terminal, otherwise `json`',
      perNode: true,
    }),
    METRICS_PORT: setting(integer(0, 65_535), {
      description:
        'A separate port for the Prometheus page `/metrics`. 0 chooses a free port. See docs/OPERATIONS.md#metrics.',
      whenUnset: 'metrics on `PORT` if there is a `METRICS_TOKEN`, otherwise none',
      perNode: true,
    }),
    METRICS_HOST: setting(text, {
      default: '127.0.0.1',
      description: 'The address that `METRICS_PORT` listens on.',
      perNode: true,
    }),
    METRICS_TOKEN: setting(bearerToken, {
      description: 'The bearer token that `/metrics` requires. `openssl rand -base64 48` generates one.',
      whenUnset: 'no token required on `METRICS_PORT`',
    }),
    OTEL_EXPORTER_OTLP_ENDPOINT: setting(url('http', 'https'), {
      description: 'The OpenTelemetry collector that receives traces by OTLP over HTTP. See docs/OPERATIONS.md#traces.',
      whenUnset: 'no traces',
      example: 'http://collector:4318',
    }),
    OTEL_SERVICE_NAME: setting(text, { default: 'parley', description: 'The name of the service in traces.' }),
    OTEL_TRACES_SAMPLER_ARG: setting(share, {
      default: '1',
      description: 'The share of traces that are sampled if the caller has not decided whether to sample.',
    }),
  },
  ({ otelExporterOtlpEndpoint, otelServiceName, otelTracesSamplerArg, ...values }) => ({
    ...values,
    tracesEndpoint: otelExporterOtlpEndpoint,
    tracesServiceName: otelServiceName,
    tracesSampledShare: otelTracesSamplerArg,
  }),
);
