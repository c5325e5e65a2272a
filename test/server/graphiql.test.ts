import { parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { graphiqlOptions, graphiqlPage } from '../../src/server/graphiql.js';

describe('GraphiQL', () => {
  it.each(graphiqlOptions.defaultTabs ?? [])('opens with operations that the schema allows: %#', ({ query }) => {
    expect(validate(schema, parse(query ?? ''))).toEqual([]);
  });

  it('asks by our fetcher, and loads nothing from elsewhere', () => {
    const page = graphiqlPage();
    expect(page).toContain('renderParley(');
    expect(page).toContain('function createParleyFetcher(');
    expect(page).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?\/\//);
  });
});
