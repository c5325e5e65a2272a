import { auditServer } from 'graphql-http';
import { describe, expect, it } from 'vitest';
import { detailModes, sharedNode } from '../support/place.js';

describe.each(detailModes)('GraphQL over HTTP in %s mode', (mode) => {
  it('meets every requirement of the specification', async () => {
    const { url } = await sharedNode(mode);
    // The server requires this header for GET requests, in addition to the specification.
    const fetchFn: typeof fetch = (input, init) =>
      fetch(input, { ...init, headers: { ...init?.headers, 'graphql-require-preflight': '1' } });
    const results = await auditServer({ url, fetchFn });
    const unmet = results.flatMap((result) => (result.status === 'ok' ? [] : [`${result.name}: ${result.reason}`]));
    expect(unmet).toEqual([]);
    // Otherwise, the test would pass without any audits.
    expect(results).toHaveLength(61);
  });
});
