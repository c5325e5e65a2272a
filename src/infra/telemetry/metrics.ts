import type { Metric } from 'prom-client';

/**
 * The numbers of one node, for Prometheus. Names are as Prometheus has them: `parley_…_total` counts, `_seconds` lasts.
 * Labels have few values, all known beforehand: never what people or clients write.
 */
export interface Metrics {
  /** Something that is counted as it happens. Asked for twice by one name it is the same. */
  counter<Label extends string = never>(name: string, help: string, labels?: readonly Label[]): Count<Label>;
  /** How long something takes, in seconds, as a histogram. */
  duration<Label extends string = never>(
    name: string,
    help: string,
    options?: { buckets?: readonly number[]; labels?: readonly Label[] },
  ): Observe<Label>;
  /**
   * Numbers that are kept elsewhere and read when somebody asks: so that what is counted where it is busiest is a plain
   * `+= 1`. `read` gives one number, or one for each value of the labels, or (undefined) none at the moment. Several
   * calls with one name make one metric of all their readings, which must then differ in their labels.
   */
  read(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    read: () => Reading | Promise<Reading>,
    labels?: readonly string[],
  ): void;
  /** All of them in the exposition format, and its type; of the process too. */
  exposition(): Promise<{ type: string; text: string }>;
}

type Count<Label extends string> = (...given: [Label] extends [never] ? [] : [Record<Label, string>]) => void;
type Observe<Label extends string> = (
  seconds: number,
  ...given: [Label] extends [never] ? [] : [Record<Label, string>]
) => void;

export type Reading = number | undefined | readonly { labels: Record<string, string>; value: number }[];

/** One number for each value of a label. */
export const by = (label: string, values: Record<string, number> | ReadonlyMap<string, number>): Reading =>
  (values instanceof Map ? [...values] : Object.entries(values)).map(([name, value]: [string, number]) => ({
    labels: { [label]: name },
    value,
  }));

/** In seconds: from what one row takes to what nobody waits for. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Where nobody looks nothing is counted. */
export const noMetrics: Metrics = {
  counter: () => () => {},
  duration: () => () => {},
  read() {},
  exposition: async () => ({ type: 'text/plain', text: '' }),
};

/** The library is loaded here, so that a node without metrics starts without it. */
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
      /** What cannot be read at the moment is left out, and hides nothing else. */
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
            // Else it would stand at 0.
            if (readings.length === 0 && labels.length === 0) this.remove();
            for (const { labels: given, value } of readings) this.set(given, value);
          },
        });
      }
    },
    exposition: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
