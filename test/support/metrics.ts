import parse from 'parse-prometheus-text-format';
import type { RunningNode } from '../../src/server/start.js';

/** The metrics of a node, parsed from the exposition format. */
export interface Scraped {
  names: string[];
  /** The value of a metric with these labels, or the sum of all values with additional labels; 0 if there is none. */
  value(name: string, labels?: Record<string, string>): number;
  /** The number of observations of a histogram. */
  count(name: string, labels?: Record<string, string>): number;
  /** Whether the metric has any value. */
  has(name: string): boolean;
}

export async function scrape(node: RunningNode, token?: string): Promise<Scraped> {
  if (node.metricsUrl === undefined) throw new Error('this node has no metrics');
  const response = await fetch(node.metricsUrl, token ? { headers: { authorization: `Bearer ${token}` } } : {});
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  const families = parse(text);
  const fitting = (name: string, labels: Record<string, string>) => {
    const family = families.find((each) => each.name === name);
    if (!family) throw new Error(`there is no metric ${name}`);
    return family.metrics.filter((metric) =>
      Object.entries(labels).every(([key, value]) => metric.labels?.[key] === value),
    );
  };
  const sum = (numbers: (string | undefined)[]) => numbers.reduce((total, each) => total + Number(each ?? 0), 0);
  return {
    names: families.map(({ name }) => name),
    value: (name, labels = {}) => sum(fitting(name, labels).map(({ value }) => value)),
    count: (name, labels = {}) => sum(fitting(name, labels).map(({ count }) => count)),
    has: (name) => fitting(name, {}).some(({ value, count }) => value !== undefined || count !== undefined),
  };
}
