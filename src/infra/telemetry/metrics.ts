import type { Metric } from 'prom-client';

/**
 * Prometheus metrics of one node. Names follow the Prometheus conventions: `parley_…_total` for counters, `_seconds`
 * for durations. Labels have few values, all of which are known in advance; they never contain user input.
 */
export interface Metrics {
  /**
   * Registers a counter and returns the function that increments it. Further calls with the same name return the same
   * counter.
   */
  counter<Label extends string = never>(name: string, help: string, labels?: readonly Label[]): Count<Label>;
  /** Registers a histogram of durations and returns the function that records one, in seconds. */
  duration<Label extends string = never>(
    name: string,
    help: string,
    options?: { buckets?: readonly number[]; labels?: readonly Label[] },
  ): Observe<Label>;
  /**
   * Registers values that are computed when the metrics are scraped, so that hot paths only need a plain `+= 1`. `read`
   * returns one number, one for each combination of labels, or undefined for none. Several calls with the same name
   * contribute to one metric and must use different label values.
   */
  read(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    read: () => Reading | Promise<Reading>,
    labels?: readonly string[],
  ): void;
  /** All metrics, including those of the process, in the exposition format, with its content type. */
  exposition(): Promise<{ type: string; text: string }>;
}

type Count<Label extends string> = (...given: [Label] extends [never] ? [] : [Record<Label, string>]) => void;
type Observe<Label extends string> = (
  seconds: number,
  ...given: [Label] extends [never] ? [] : [Record<Label, string>]
) => void;

export type Reading = number | undefined | readonly { labels: Record<string, string>; value: number }[];

/** Converts a record or map to one reading per label value. */
export const by = (label: string, values: Record<string, number> | ReadonlyMap<string, number>): Reading =>
  (values instanceof Map ? [...values] : Object.entries(values)).map(([name, value]: [string, number]) => ({
    labels: { [label]: name },
    value,
  }));

/** In seconds: from the duration of reading one row to durations that no client waits for. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Metrics that record nothing. */
export const noMetrics: Metrics = {
  counter: () => () => {},
  duration: () => () => {},
  read() {},
  exposition: async () => ({ type: 'text/plain', text: '' }),
};

/** The library is imported dynamically, so that a node without metrics starts without it. */
export async function openMetrics(): Promise<Metrics> {
  const { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const known = <Kind extends Metric>(name: string) => registry.getSingleMetric(name) as Kind | undefined;
  const registers = [registry];
  const reads = new Map<string, (() => Reading | Promise<Reading>)[]>();
  return {
    counter<Label extends string>(name: string, help: string, labels: readonly Label[] = []): Count<Label> {
      const counter =
        known<InstanceType<typeof Counter<Label>>>(name) ??
        new Counter<Label>({ name, help, labelNames: labels, registers });
      return (given?: Record<Label, string>) => counter.inc(given ?? ({} as Record<Label, string>));
    },
    duration<Label extends string>(
      name: string,
      help: string,
      { buckets = BUCKETS, labels = [] }: { buckets?: readonly number[]; labels?: readonly Label[] } = {},
    ): Observe<Label> {
      const histogram =
        known<InstanceType<typeof Histogram<Label>>>(name) ??
        new Histogram<Label>({ name, help, buckets: [...buckets], labelNames: labels, registers });
      return (seconds: number, given?: Record<Label, string>) =>
        histogram.observe(given ?? ({} as Record<Label, string>), seconds);
    },
    read(type, name, help, read, labels = []) {
      const known = reads.get(name);
      if (known) {
        known.push(read);
        return;
      }
      const all = [read];
      reads.set(name, all);
      const options = { name, help, labelNames: labels, registers };
      /** A metric that cannot be read at the moment is omitted, so that the others are still exposed. */
      const readAll = async () => {
        const readings = await Promise.all(
          all.map((each) =>
            Promise.resolve()
              .then(each)
              .catch(() => undefined),
          ),
        );
        return readings.flatMap((reading) =>
          typeof reading === 'number' ? [{ labels: {}, value: reading }] : (reading ?? []),
        );
      };
      if (type === 'counter') {
        new Counter({
          ...options,
          async collect() {
            const readings = await readAll();
            this.reset();
            for (const { labels: given, value } of readings) this.inc(given, value);
          },
        });
      } else {
        new Gauge({
          ...options,
          async collect() {
            const readings = await readAll();
            this.reset();
            // Otherwise the metric would be exposed with the value 0.
            if (readings.length === 0 && labels.length === 0) this.remove();
            for (const { labels: given, value } of readings) this.set(given, value);
          },
        });
      }
    },
    exposition: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
