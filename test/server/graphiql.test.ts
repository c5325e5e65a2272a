import { parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { graphiqlOptions, graphiqlPage } from '../../src/server/graphiql.js';

describe('GraphiQL', () => {
  it.each(graphiqlOptions.defaultTabs ?? [])(
    'has tabs with operations that are valid for the schema: %#',
    ({ query }) => {
      expect(validate(schema, parse(query ?? ''))).toEqual([]);
    },
  );

  it("uses the server's own fetcher, and loads nothing from other origins", () => {
    const page = graphiqlPage();
    expect(page).toContain('renderParley(');
    expect(page).toContain('function createParleyFetcher(');
    expect(page).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?\/\//);
  });
});
