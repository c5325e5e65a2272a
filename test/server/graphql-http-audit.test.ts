import { auditServer } from 'graphql-http';
import { describe, expect, it } from 'vitest';
import { footings, makePlace } from '../support/place.js';

describe.each(footings)('GraphQL over HTTP on the %s footing', (footing) => {
  it('meets every requirement of the specification', async () => {
    const place = await makePlace(footing);
    const { url } = await place.start();
    // What the server wants of a GET beside the specification.
    const fetchFn: typeof fetch = (input, init) =>
      fetch(input, { ...init, headers: { ...init?.headers, 'graphql-require-preflight': '1' } });
    const results = await auditServer({ url, fetchFn });
    const unmet = results.flatMap((result) => (result.status === 'ok' ? [] : [`${result.name}: ${result.reason}`]));
    expect(unmet).toEqual([]);
    // So that an audit that is not made does not pass for one that is met.
    expect(results).toHaveLength(61);
  });
});
