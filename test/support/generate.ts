import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLNamedOutputType,
  type GraphQLObjectType,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { schema } from '../../src/app/schema.js';
import type { Random } from '../../src/seed/random.js';
import type { Json } from './client.js';

/** Values for random operations. */
export interface Stock {
  ids: readonly string[];
  texts: readonly string[];
}

export interface Operation {
  query: string;
  variables: Record<string, Json>;
}

export type OperationKind = 'query' | 'mutation' | 'subscription';

const rootOf = (kind: OperationKind): GraphQLObjectType =>
  ({
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  })[kind] as GraphQLObjectType;

/** The maximum depth of a random selection, and the maximum number of fields per object. */
const DEPTH_MAX = 4;
const FIELDS_MAX = 4;

const NUMBERS = [1, 2, 3, 10, 100, 0, -1, 101, 2_147_483_647, -2_147_483_648];
const MOMENTS = [
  '2026-11-27T10:00:00.000Z',
  '1970-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '-000001-01-01T00:00:00Z',
];

/** A random value of a type, as JSON. */
function fitting(type: GraphQLInputType, random: Random, stock: Stock): Json {
  if (isNonNullType(type)) return fitting(type.ofType, random, stock);
  if (isListType(type)) {
    return Array.from({ length: Math.floor(random.between(0, 4)) }, () => fitting(type.ofType, random, stock));
  }
  if (isInputObjectType(type)) return objectOf(Object.values(type.getFields()), random, stock);
  if (isEnumType(type)) return random.pick(type.getValues()).name;
  switch (type.name) {
    case 'Int':
      return random.pick(NUMBERS);
    case 'Float':
      return random.pick([...NUMBERS, 0.5]);
    case 'Boolean':
      return random.next() < 0.5;
    case 'DateTime':
      return random.pick(MOMENTS);
    case 'ID':
      return random.pick(random.next() < 0.9 ? stock.ids : stock.texts);
    default:
      return random.pick(random.next() < 0.3 ? stock.ids : stock.texts);
  }
}

/** Required fields are always present; optional ones sometimes, some of them with an explicit null. */
function objectOf(
  members: readonly (GraphQLArgument | GraphQLInputField)[],
  random: Random,
  stock: Stock,
): Record<string, Json> {
  const object: Record<string, Json> = {};
  for (const { name, type } of members) {
    if (isNonNullType(type)) object[name] = fitting(type, random, stock);
    else if (random.next() < 0.5) object[name] = random.next() < 0.1 ? null : fitting(type, random, stock);
  }
  return object;
}

/** A random operation that is valid according to the schema. The server may still reject it. */
export function randomOperation(kind: OperationKind, random: Random, stock: Stock): Operation {
  const variables: Record<string, Json> = {};
  const declared: string[] = [];
  const fragments: string[] = [];
  let names = 0;
  const fresh = (prefix: string) => `${prefix}${names++}`;

  /** The arguments of a field as variables; optional ones are sometimes omitted. */
  function argumentsOf(field: GraphQLField<unknown, unknown>): string {
    const given = objectOf(field.args, random, stock);
    const passed = field.args.flatMap(({ name, type }) => {
      if (!(name in given)) return [];
      const variable = fresh('v');
      declared.push(`$${variable}: ${type}`);
      variables[variable] = given[name];
      return [`${name}: $${variable}`];
    });
    return passed.length > 0 ? `(${passed.join(', ')})` : '';
  }

  function directive(): string {
    if (random.next() > 0.05) return '';
    const variable = fresh('v');
    declared.push(`$${variable}: Boolean!`);
    variables[variable] = random.next() < 0.7;
    return random.next() < 0.5 ? ` @include(if: $${variable})` : ` @skip(if: $${variable})`;
  }

  function selectionOf(type: GraphQLNamedOutputType, depth: number): string {
    if (!isCompositeType(type)) return '';
    if (isAbstractType(type)) {
      const narrowed = schema.getPossibleTypes(type).filter(() => random.next() < 0.3);
      return ` { __typename ${narrowed.map((each) => `... on ${each.name}${selectionOf(each, depth)}`).join(' ')} }`;
    }
    const fields = random
      .shuffled(Object.values(type.getFields()))
      .filter((field) => depth < DEPTH_MAX || !isCompositeType(getNamedType(field.type)))
      .slice(0, 1 + Math.floor(random.next() * FIELDS_MAX))
      .map((field) => fieldOf(field, depth + 1));
    const body = `{ __typename ${fields.join(' ')} }`;
    if (random.next() > 0.1) return ` ${body}`;
    const fragment = fresh('F');
    fragments.push(`fragment ${fragment} on ${type.name} ${body}`);
    return ` { ...${fragment} }`;
  }

  function fieldOf(field: GraphQLField<unknown, unknown>, depth: number): string {
    // A unique alias, so that a field can be selected repeatedly with different arguments.
    return `${fresh('a')}: ${field.name}${argumentsOf(field)}${directive()}${selectionOf(getNamedType(field.type), depth)}`;
  }

  const roots = Object.values(rootOf(kind).getFields());
  const count = kind === 'subscription' ? 1 : 1 + Math.floor(random.next() * 2);
  const body = Array.from({ length: count }, () => {
    const field = random.pick(roots);
    return kind === 'subscription'
      ? `${field.name}${argumentsOf(field)}${selectionOf(getNamedType(field.type), 1)}`
      : fieldOf(field, 1);
  });
  const head = declared.length > 0 ? `${kind} (${declared.join(', ')})` : kind;
  return { query: [`${head} { ${body.join(' ')} }`, ...fragments].join('\n'), variables };
}

/** A place in an operation where a client supplies a text. */
export interface TextPlace {
  kind: OperationKind;
  /** Such as: mutation sendMessage: input.text */
  name: string;
  /** The operation with this text at this place; `needs` supplies the other required values. */
  withText(text: string, needs: (type: string, path: string) => Json): Operation;
}

/** All places of all operations that take a text or an id: arguments of root fields and of nested fields. */
export function textPlaces(): TextPlace[] {
  return (['query', 'mutation', 'subscription'] as const).flatMap((kind) =>
    Object.values(rootOf(kind).getFields()).flatMap((field) =>
      placesIn(field.args).map((path) => placeOf(kind, field, path)),
    ),
  );
}

/** The paths to texts within arguments: fields of input objects, items of lists. */
function placesIn(members: readonly (GraphQLArgument | GraphQLInputField)[]): string[][] {
  return members.flatMap(({ name, type }) => {
    const named = getNamedType(type) as GraphQLInputType;
    if (isInputObjectType(named)) {
      return placesIn(Object.values(named.getFields())).map((path) => [name, ...path]);
    }
    return ['String', 'ID'].includes((named as { name: string }).name) ? [[name]] : [];
  });
}

function placeOf(kind: OperationKind, field: GraphQLField<unknown, unknown>, path: string[]): TextPlace {
  const name = `${kind} ${field.name}: ${path.join('.')}`;
  const build = (
    members: readonly (GraphQLArgument | GraphQLInputField)[],
    [first, ...rest]: string[],
    before: string,
    text: string,
    needs: (type: string, path: string) => Json,
  ): Record<string, Json> => {
    const object: Record<string, Json> = {};
    for (const member of members) {
      const at = before === '' ? member.name : `${before}.${member.name}`;
      const required = isNonNullType(member.type) ? member.type.ofType : member.type;
      const type = isListType(required) ? required.ofType : required;
      const named = getNamedType(member.type) as GraphQLInputType;
      const wrap = (value: Json) => (isListType(required) ? [value] : value);
      if (member.name === first) {
        object[member.name] = wrap(
          isInputObjectType(named) ? build(Object.values(named.getFields()), rest, at, text, needs) : text,
        );
      } else if (isNonNullType(member.type)) {
        object[member.name] = wrap(
          isInputObjectType(named)
            ? build(Object.values(named.getFields()), [], at, text, needs)
            : needs(String(type).replace('!', ''), at),
        );
      }
    }
    return object;
  };
  return {
    kind,
    name,
    withText(text, needs) {
      const variables = build(field.args, path, '', text, needs);
      const used = field.args.filter((arg) => arg.name in variables);
      const declared = used.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
      const passed = used.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
      const type = getNamedType(field.type);
      const selection = isObjectType(type) || isAbstractType(type) ? ' { __typename }' : '';
      return { query: `${kind} (${declared}) { ${field.name}(${passed})${selection} }`, variables };
    },
  };
}
