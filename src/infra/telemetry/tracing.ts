import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context, Span } from '@opentelemetry/api';
import type { Logger } from './log.js';

/**
 * OpenTelemetry traces of a node. Attributes contain kinds of operations, but never the values of variables or user
 * content.
 */
export interface Tracing {
  /**
   * Runs `work` as a server span. The span belongs to the trace that the client names (W3C `traceparent`), or to a new
   * one. `codeOf` returns the error code of the result, or undefined if it is not an error.
   */
  serve<T>(
    name: string,
    options: { parent: Carrier; attributes: Attributes; codeOf(result: T): string | undefined },
    work: () => Promise<T>,
  ): Promise<T>;
  /** Runs `work` as a child of the active span, or without a span if there is none. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Associates a queued call with the active span, for `together`. */
  linkToSpan(call: object): void;
  /**
   * Runs `work`, which carries out several queued calls at once, in a trace of its own that is linked to the spans of
   * the calls.
   */
  together<T>(name: string, calls: readonly object[], work: () => Promise<T>): Promise<T>;
  /** Exports the remaining spans, within a time limit. */
  close(): Promise<void>;
}

export interface Carrier {
  traceparent?: string | undefined;
  tracestate?: string | undefined;
}

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Error codes for which the server, and not the client, is responsible. */
const FAULTS: readonly string[] = ['INTERNAL_SERVER_ERROR', 'UNAVAILABLE'];
/** How long a node waits for the collector while stopping, in milliseconds. */
const CLOSE_MS = 2_000;
/** The minimum interval between warnings about failed exports, in milliseconds. */
const LOG_INTERVAL_MS = 60_000;

/** Tracing that runs the work without recording spans. */
export const noTracing: Tracing = {
  serve: (_name, _asked, work) => work(),
  step: (_name, work) => work(),
  linkToSpan() {},
  together: (_name, _calls, work) => work(),
  close: async () => {},
};

/**
 * Exports traces to a collector over OTLP/HTTP (protobuf). The library is imported dynamically, so that a node without
 * tracing starts without it. Its exporter also uses the standard variables OTEL_EXPORTER_OTLP_HEADERS, …_TIMEOUT,
 * …_COMPRESSION and …_CERTIFICATE.
 */
export async function openTracing({
  endpoint,
  sampledShare,
  resource,
  log,
}: {
  /** The base URL of the collector, to which `/v1/traces` is appended. */
  endpoint: string;
  /** The share of new traces that is recorded, from 0 to 1. For traces begun by clients, the clients decide. */
  sampledShare: number;
  resource: Readonly<Record<string, string>>;
  log: Logger;
}): Promise<Tracing> {
  const [
    { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace },
    { BatchSpanProcessor, ParentBasedSampler, TracerProvider, TraceIdRatioBasedSampler },
    { W3CTraceContextPropagator },
    { resourceFromAttributes },
    { OTLPTraceExporter },
  ] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` });
  let loggedAt = Number.NEGATIVE_INFINITY;
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampledShare) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: {
          export: (spans, done) =>
            exporter.export(spans, (result) => {
              if (result.code !== 0 && performance.now() - loggedAt > LOG_INTERVAL_MS) {
                loggedAt = performance.now();
                log.warn({ err: result.error, spans: spans.length }, 'traces could not be exported');
              }
              done(result);
            }),
          forceFlush: () => exporter.forceFlush(),
          shutdown: () => exporter.shutdown(),
        },
      }),
    ],
  });
  const tracer = provider.getTracer('parley');
  const propagator = new W3CTraceContextPropagator();
  // The library's global context is not used, because two nodes in one process must not share it.
  const activeContext = new AsyncLocalStorage<Context>();
  const spansOfCalls = new WeakMap<object, Span>();

  /** Runs the work within the span, and ends the span. */
  async function run<T>(
    span: Span,
    parent: Context,
    work: () => Promise<T>,
    codeOf: (result: T) => string | undefined = () => undefined,
  ): Promise<T> {
    const fail = (type: string) => {
      span.setAttribute('error.type', type);
      span.setStatus({ code: SpanStatusCode.ERROR });
    };
    try {
      const result = await activeContext.run(trace.setSpan(parent, span), work);
      const code = codeOf(result);
      if (code !== undefined && FAULTS.includes(code)) fail(code);
      else if (code !== undefined) span.setAttribute('error.type', code);
      return result;
    } catch (error) {
      // Error messages are not recorded, because they can contain user content.
      const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
      fail(String(code ?? name ?? 'Error'));
      throw error;
    } finally {
      span.end();
    }
  }

  return {
    serve(name, { parent, attributes, codeOf }, work) {
      const context = propagator.extract(ROOT_CONTEXT, parent, defaultTextMapGetter);
      return run(tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, context), context, work, codeOf);
    },
    step(name, work) {
      const context = activeContext.getStore();
      return context ? run(tracer.startSpan(name, {}, context), context, work) : work();
    },
    linkToSpan(call) {
      const context = activeContext.getStore();
      const span = context && trace.getSpan(context);
      if (span?.isRecording()) spansOfCalls.set(call, span);
    },
    together(name, calls, work) {
      const links = calls.flatMap((call) => {
        const span = spansOfCalls.get(call);
        return span ? [{ context: span.spanContext() }] : [];
      });
      // The work is done for several callers and does not belong to the span of the first one.
      if (links.length === 0) return activeContext.exit(work);
      const attributes = { 'parley.calls': calls.length };
      return run(tracer.startSpan(name, { root: true, links, attributes }, ROOT_CONTEXT), ROOT_CONTEXT, work);
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const tooLate = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS);
      });
      await Promise.race([provider.shutdown().catch(() => {}), tooLate]);
      clearTimeout(timer);
    },
  };
}
