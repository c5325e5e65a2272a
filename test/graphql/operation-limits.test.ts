import { parse, specifiedRules, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { schema } from '../../src/app/schema.js';
import { findOversize } from '../../src/graphql/operation-limits.js';

const config = readConfig({});
const repeat = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => text(index)).join(' ');
const oversize = (text: string) => findOversize(parse(text), config).map(({ message }) => message);

/** Documents within all other limits that are expensive to validate. */
const expensive: [what: string, document: string][] = [
  ['one field many times', `{ serverInfo { ${repeat(600, () => 'version')} } }`],
  [
    'one field many times, at the same place by several parents',
    `{ ${repeat(25, () => `viewer { ${repeat(30, () => 'id')} }`)} }`,
  ],
  ['the same, deeper', `{ ${repeat(28, () => `viewer { ${repeat(8, () => `user { ${repeat(3, () => 'id')} }`)} }`)} }`],
  ['the same, by inline fragments', `{ viewer { ${repeat(300, () => '... { id }')} } }`],
  [
    'one field of many fragments',
    `{ viewer { ${repeat(95, (i) => `...F${i}`)} } } ${repeat(95, (i) => `fragment F${i} on Viewer { user { id username } }`)}`,
  ],
  [
    'many fragments in a row',
    `{ ...F0 } ${repeat(130, (i) => `fragment F${i} on Query { ...F${i + 1} }`)} fragment F130 on Query { __typename }`,
  ],
  [
    'many fragments that nobody spreads',
    `{ __typename } ${repeat(130, (i) => `fragment F${i} on Query { __typename }`)}`,
  ],
  ['one such fragment with many fields', `{ __typename } fragment F on Query { ${repeat(300, () => '__typename')} }`],
  ['many operations', repeat(200, (i) => `query A${i} { __typename }`)],
];

describe('before validation', () => {
  it.each(expensive)('%s is refused', (_what, document) => {
    expect(oversize(document)).toEqual([
      expect.stringMatching(/^An operation can have at most 5000 pairs of fields and fragments/),
    ]);
  });

  it('fragments that double each other are counted, not gone through', () => {
    const doubling = repeat(20, (i) => `fragment F${i} on User { a${i}: id ...F${i + 1} ...F${i + 1} }`);
    expect(oversize(`{ viewer { user { ...F0 } } } ${doubling} fragment F20 on User { id }`)).toContainEqual(
      expect.stringMatching(/^An operation can have at most 2000 fields; this one has \d{7,}/),
    );
  });

  it('fragments that are part of themselves are named', () => {
    const cycle = 'fragment A on User { id ...B } fragment B on User { ...C } fragment C on User { id ...A }';
    for (const document of [`{ viewer { user { ...B } } } ${cycle}`, `{ __typename } ${cycle}`]) {
      expect(oversize(document)).toEqual([expect.stringMatching(/^Cannot spread fragment "[AB]" within itself\.$/)]);
    }
  });

  it.each([
    ['one field a hundred times', `{ viewer { ${repeat(100, () => 'id')} } }`],
    [
      'fifty components that each bring a fragment',
      `{ viewer { ${repeat(50, (i) => `...F${i}`)} } } ${repeat(50, (i) => `fragment F${i} on Viewer { __typename id }`)}`,
    ],
    [
      'a fragment that is spread at several depths',
      `{ viewer { user { ...U } conversations { nodes { lastMessage { sender { ...U } conversation { lastMessage { sender { ...U } } } } } } } }
       fragment U on User { id username }`,
    ],
  ])('%s is taken', (_what, document) => {
    expect(oversize(document)).toEqual([]);
    expect(validate(schema, parse(document), specifiedRules)).toEqual([]);
  });
});
