import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import SimpleObjectsPlugin from '@pothos/plugin-simple-objects';
import { GraphQLError, GraphQLScalarType, type ValueNode } from 'graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { decodeGlobalId, encodeGlobalId } from '../core/ids.js';
import type PrismaTypes from '../generated/pothos.js';
import { getDatamodel } from '../generated/pothos.js';
import type { Context } from './context.js';

/**
 * The schema builder that all *.schema.ts files use. Fields are nullable by default, so that a mutation that fails
 * returns null and an error and does not affect other mutations of the operation.
 */
export const builder = new SchemaBuilder<{
  Context: Context;
  PrismaTypes: PrismaTypes;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    Bytes: { Input: Uint8Array<ArrayBuffer>; Output: Uint8Array | string };
  };
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
}>({
  plugins: [RelayPlugin, PrismaPlugin, SimpleObjectsPlugin],
  prisma: {
    client: (context) => context.deps.database.db,
    dmmf: getDatamodel(),
    onUnusedQuery: null,
  },
  relay: {
    encodeGlobalID: (typename, id) => encodeGlobalId(typename, String(id)),
    decodeGlobalID: (id) => decodeGlobalId(id, 'id'),
    nodesOnConnection: true,
    cursorType: 'String',
    edgesFieldOptions: { nullable: { list: false, items: false } },
    nodeFieldOptions: { nullable: false },
    nodeTypeOptions: { description: 'An object with a globally unique, opaque id.' },
    nodeQueryOptions: false,
    nodesQueryOptions: false,
  },
});

/** The range of years that both PostgreSQL and RFC 3339 support. */
const [firstInstant, lastInstant] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

function inRange(at: Date, nodes?: ValueNode): Date {
  if (at.getTime() >= firstInstant && at.getTime() <= lastInstant) return at;
  throw new GraphQLError('DateTime cannot represent a time outside of the years 1 to 9999.', { nodes: nodes ?? null });
}

const { serialize: _, parseValue, parseLiteral, ...dateTime } = GraphQLDateTime.toConfig();
builder.addScalarType(
  'DateTime',
  new GraphQLScalarType<Date, string>({
    ...dateTime,
    description:
      'A date and time in the format of RFC 3339 with an offset, for example 2026-11-28T15:30:00.250Z. Responses are in UTC with milliseconds. Inputs with a higher precision are truncated to milliseconds, and leap seconds are rejected.',
    specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6',
    serialize: (value) => new Date(value as Date).toISOString(),
    parseValue: (value) => inRange(parseValue(value)),
    parseLiteral: (node, variables) => inRange(parseLiteral(node, variables), node),
  }),
);

const BASE64URL = /^[A-Za-z0-9_-]*$/;

function bytesOf(text: unknown, nodes?: ValueNode): Uint8Array<ArrayBuffer> {
  const bytes = typeof text === 'string' && BASE64URL.test(text) ? Buffer.from(text, 'base64url') : undefined;
  // Only the canonical form is accepted, so that equal bytes are equal texts.
  if (bytes?.toString('base64url') === text) return new Uint8Array(bytes as Buffer);
  throw new GraphQLError('Bytes must be a text in base64url without padding.', { nodes: nodes ?? null });
}

builder.addScalarType(
  'Bytes',
  new GraphQLScalarType<Uint8Array<ArrayBuffer>, string>({
    name: 'Bytes',
    description: 'Bytes in base64url, without padding.',
    specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc4648#section-5',
    // A text is in base64url already.
    serialize: (value) => (typeof value === 'string' ? value : Buffer.from(value as Uint8Array).toString('base64url')),
    parseValue: (value) => bytesOf(value),
    parseLiteral: (node) => bytesOf('value' in node ? node.value : undefined, node),
  }),
);

builder.queryType({
  description:
    'Reads data. All fields except `serverInfo` and `viewer` require a signed-in user. A field that fails is null, and the response contains an error; where null has another meaning, the description states it.',
});
builder.mutationType({
  description:
    'Changes data. A mutation that fails returns null and an error, so that the results of other mutations in the same operation remain available. In an input, an omitted field leaves the value unchanged, and an explicit null removes it.',
});
builder.subscriptionType({
  description:
    'Streams of events. Every event is an upsert: it carries the current state of the objects that changed. A stream with the argument `after` can be resumed; an event may then be repeated, but none is missed.',
});
