import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context, Span } from '@opentelemetry/api';
import type { Logger } from './log.js';

/**
 * Traces of what a node does, for OpenTelemetry. Attributes say what sort of thing it was: never the values of variables,
 * nor what people write.
 */
export interface Tracing {
  /**
   * Serves something that was asked for from outside, as a span of the trace that the asker names (W3C `traceparent`),
   * or of a new one. `codeOf` says what of the result is an error.
   */
  serve<T>(
    name: string,
    asked: { parent: Carrier; attributes: Attributes; codeOf(result: T): string | undefined },
    work: () => Promise<T>,
  ): Promise<T>;
  /** A step of what is served at the moment; of nothing that is served it is none. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Notes for which of what is served this call is, which is carried out later, with others: see `together`. */
  note(call: object): void;
  /** Carries out several calls at once: a trace of its own, linked to all for which it is done. */
  together<T>(name: string, calls: readonly object[], work: () => Promise<T>): Promise<T>;
  /** Sends what is not sent yet, for a moment. */
  close(): Promise<void>;
}

export interface Carrier {
  traceparent?: string | undefined;
  tracestate?: string | undefined;
}

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Codes that say that something is wrong on this side. */
const FAULTS: readonly string[] = ['INTERNAL_SERVER_ERROR', 'UNAVAILABLE'];
/** How long a stopping node waits for a collector, in milliseconds. */
const CLOSE_MS = 2_000;
/** Least time between two lines of the log that say that spans could not be sent. */
const TELL_MS = 60_000;

/** Of no cost: what is to be traced is simply done. */
export const noTracing: Tracing = {
  serve: (_name, _asked, work) => work(),
  step: (_name, work) => work(),
  note() {},
  together: (_name, _calls, work) => work(),
  close: async () => {},
};

/**
 * Traces that go to a collector, over OTLP/HTTP (protobuf). The library is loaded here, so that a node without traces
 * starts without it. Besides what is given, its exporter heeds the standard variables of its own: OTEL_EXPORTER_OTLP_HEADERS,
 * …_TIMEOUT, …_COMPRESSION, …_CERTIFICATE.
 */
export async function openTracing({
  endpoint,
  sampledShare,
  resource,
  log,
}: {
  /** Its base: `/v1/traces` is below it. */
  endpoint: string;
  /** Of traces that begin here, from 0 to 1. Whoever names a trace says itself whether it is kept. */
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
  let toldAt = Number.NEGATIVE_INFINITY;
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampledShare) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: {
          export: (spans, done) =>
            exporter.export(spans, (result) => {
              if (result.code !== 0 && performance.now() - toldAt > TELL_MS) {
                toldAt = performance.now();
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
  // Not the library's global one: two nodes in one process must not mix theirs.
  const underWay = new AsyncLocalStorage<Context>();
  const noted = new WeakMap<object, Span>();

  /** Runs the work as this span, and ends it. */
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
      const result = await underWay.run(trace.setSpan(parent, span), work);
      const code = codeOf(result);
      if (code !== undefined && FAULTS.includes(code)) fail(code);
      else if (code !== undefined) span.setAttribute('error.type', code);
      return result;
    } catch (error) {
      // Not its message: it may quote what somebody wrote.
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
      const context = underWay.getStore();
      return context ? run(tracer.startSpan(name, {}, context), context, work) : work();
    },
    note(call) {
      const context = underWay.getStore();
      const span = context && trace.getSpan(context);
      if (span?.isRecording()) noted.set(call, span);
    },
    together(name, calls, work) {
      const links = calls.flatMap((call) => {
        const span = noted.get(call);
        return span ? [{ context: span.spanContext() }] : [];
      });
      // Begun by whoever came first, it is no step of theirs.
      if (links.length === 0) return underWay.exit(work);
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
