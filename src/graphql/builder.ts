import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import SimpleObjectsPlugin from '@pothos/plugin-simple-objects';
import { decodeGlobalId, encodeGlobalId } from '../core/ids.js';
import type PrismaTypes from '../generated/pothos.js';
import { getDatamodel } from '../generated/pothos.js';
import type { Context } from './context.js';

/**
 * What every *.schema.ts builds with. Fields may be null unless they say otherwise: a mutation that fails answers null
 * with an error beside it, so that it does not hide its neighbours.
 */
export const builder = new SchemaBuilder<{
  Context: Context;
  PrismaTypes: PrismaTypes;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
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
    nodeTypeOptions: { description: 'Anything with a globally unique, opaque id.' },
    nodeQueryOptions: false,
    nodesQueryOptions: false,
  },
});

builder.scalarType('DateTime', {
  description: 'An instant, ISO 8601 in UTC with milliseconds.',
  serialize: (value) => new Date(value).toISOString(),
  parseValue: (value) => {
    const at = typeof value === 'string' ? new Date(value) : undefined;
    if (!at || Number.isNaN(at.getTime())) throw new TypeError('DateTime is a text in ISO 8601.');
    return at;
  },
});

builder.queryType({});
builder.mutationType({
  description:
    'Mutations answer null with an error beside it, so that one that fails does not hide its neighbours. In an input an absent field keeps, an explicit null clears.',
});
builder.subscriptionType({});
