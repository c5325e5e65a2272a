import {
  type GraphQLField,
  type GraphQLInputType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isScalarType,
} from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../src/app/schema.js';
import { connect, listen, request } from './support/client.js';
import { sharedNode } from './support/place.js';

/** The operations that need no viewer. All others, including new ones, must return UNAUTHENTICATED. */
const open = {
  query: ['serverInfo', 'viewer'],
  mutation: ['register', 'login', 'refreshSession', 'requestPasswordReset', 'resetPassword'],
  subscription: [] as string[],
};

/** Any valid value of a type, because it must not matter without a viewer. */
function sample(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return sample(type.ofType);
  if (isListType(type)) return [sample(type.ofType)];
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type));
    return Object.fromEntries(fields.map((field) => [field.name, sample(field.type)]));
  }
  if (isScalarType(type)) return { Int: 1, Float: 1, Boolean: true }[type.name] ?? 'User_AaH9b5HNcECpvBfEbG_tgA';
  return type.getValues()[0]?.name;
}

function operation(kind: keyof typeof open, field: GraphQLField<unknown, unknown>) {
  const args = field.args.filter((arg) => isNonNullType(arg.type) || arg.name === 'input');
  const declared = args.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ');
  const passed = args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const selection = String(field.type).startsWith('[') || !isScalarType(field.type) ? '{ __typename }' : '';
  return {
    query: `${kind} ${declared && `(${declared})`} { ${field.name}${passed && `(${passed})`} ${selection} }`,
    variables: Object.fromEntries(args.map((arg) => [arg.name, sample(arg.type)])),
  };
}

describe('every operation, signed out', () => {
  let url: string;
  beforeAll(async () => {
    ({ url } = await sharedNode('embedded'));
  });

  const fields = (kind: keyof typeof open) => {
    const type = {
      query: schema.getQueryType(),
      mutation: schema.getMutationType(),
      subscription: schema.getSubscriptionType(),
    }[kind];
    return Object.values(type?.getFields() ?? {}).filter(({ name }) => !open[kind].includes(name));
  };

  it.each(fields('query').map((field) => [field.name, field] as const))('query %s', async (_name, field) => {
    const { query, variables } = operation('query', field);
    expect((await request(url, query, variables)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });

  it.each(fields('mutation').map((field) => [field.name, field] as const))('mutation %s', async (name, field) => {
    const { query, variables } = operation('mutation', field);
    const { errors, data } = await request(url, query, variables);
    expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect(data).toEqual({ [name]: null });
  });

  it.each(fields('subscription').map((field) => [field.name, field] as const))(
    'subscription %s',
    async (_name, field) => {
      const { query, variables } = operation('subscription', field);
      const client = connect(url);
      const errors = (await listen(client, query, variables).ended) as { extensions: { code: string } }[];
      expect(errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
      await client.dispose();
    },
  );
});
