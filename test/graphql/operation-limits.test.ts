import {
  getNamedType,
  getNullableType,
  getOperationAST,
  isCompositeType,
  isListType,
  isObjectType,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { schema } from '../../src/app/schema.js';
import { boundOf } from '../../src/graphql/costs.js';
import { createCosts, findOversize } from '../../src/graphql/operation-limits.js';
import type { Config } from '../../src/infra/config/config.js';

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

describe('the size check before validation', () => {
  it.each(expensive)('rejects %s', (_what, document) => {
    expect(oversize(document)).toEqual([
      expect.stringMatching(/^An operation can have at most 5000 pairs of fields and fragments/),
    ]);
  });

  it('counts fragments that double each other without expanding them', () => {
    const doubling = repeat(20, (i) => `fragment F${i} on User { a${i}: id ...F${i + 1} ...F${i + 1} }`);
    expect(oversize(`{ viewer { user { ...F0 } } } ${doubling} fragment F20 on User { id }`)).toContainEqual(
      expect.stringMatching(/^An operation can have at most 2000 fields; this one has \d{7,}/),
    );
  });

  it('names fragments that contain themselves', () => {
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
  ])('accepts %s', (_what, document) => {
    expect(oversize(document)).toEqual([]);
    expect(validate(schema, parse(document), specifiedRules)).toEqual([]);
  });
});

describe('the cost of an operation', () => {
  /** The points of a document, or the error if it exceeds the limits. */
  function costOf(text: string, changed: Partial<Config> = {}) {
    const document = parse(text);
    expect(validate(schema, document, specifiedRules)).toEqual([]);
    const operation = getOperationAST(document) as OperationDefinitionNode;
    const costs = createCosts(schema, { ...config, ...changed });
    return { points: costs.pointsOf(document, operation, {}), error: costs.check(document, operation, {})?.message };
  }

  it('has the maximum length of every list of objects that is not a page', () => {
    const unknown = Object.values(schema.getTypeMap())
      .filter(isObjectType)
      .filter(({ name }) => !name.startsWith('__') && !name.endsWith('Connection'))
      .flatMap((type) =>
        Object.values(type.getFields()).map((field) => ({ name: `${type.name}.${field.name}`, field })),
      )
      .filter(({ field }) => isListType(getNullableType(field.type)) && isCompositeType(getNamedType(field.type)))
      // The length is that of the argument.
      .filter(({ field }) => !field.args.some(({ type }) => isListType(getNullableType(type))))
      .filter(({ field }) => boundOf(field.extensions, config) === undefined);
    // An entry has few details: only one that reports changed settings can have as many as there are settings.
    expect(unknown.map(({ name }) => name)).toEqual(['AuditEntry.details']);
  });

  it.each<[what: string, setting: keyof Config, document: string]>([
    ['sessions', 'sessionsPerPersonMax', '{ viewer { sessions { id } } }'],
    ['drafts', 'draftsMax', '{ viewer { drafts { text } } }'],
    ['pinned messages', 'pinsMax', '{ conversation(id: "x") { pinnedMessages { id } } }'],
    ['mentions', 'mentionsMax', '{ node(id: "x") { ... on Message { mentions { id } } } }'],
    ['reactions', 'reactionEmojisMax', '{ node(id: "x") { ... on Message { reactions { emoji } } } }'],
    ['new members', 'groupAddMax', '{ node(id: "x") { ... on Message { systemEvent { subjects { id } } } } }'],
    ['points of a summary', 'summaryHighlightsMax', '{ node(id: "x") { ... on Summary { highlights { text } } } }'],
  ])('counts the fields of %s as many times as the list can be long', (_what, setting, document) => {
    const [shorter, longer] = [30, 130].map((length) => costOf(document, { [setting]: length }).points);
    expect((longer ?? 0) - (shorter ?? 0)).toBe(100);
  });

  it.each<[what: string, statements: number, document: string]>([
    ['each object', 2, '{ viewer { user { id username } } }'],
    [
      'a page with its edges and nodes',
      2,
      '{ viewer { conversations(first: 1) { edges { node { id } } nodes { id } } } }',
    ],
    ['a number that is counted', 2, '{ viewer { id unreadCount } }'],
    ['a value of another table', 2, '{ viewer { id availability } }'],
    ['the total of a page', 3, '{ viewer { contacts { totalCount } } }'],
  ])('counts the statements of %s', (_what, statements, document) => {
    expect(costOf(document, { operationStatementsMax: statements }).error).toBeUndefined();
    expect(costOf(document, { operationStatementsMax: statements - 1 }).error).toBe(
      `An operation can have at most ${statements - 1} statements; this one has ${statements}.`,
    );
  });
});
