import {
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from 'graphql';

/**
 * Describes the parts of a schema that follow a naming convention and are alike in every feature: the input, the input
 * argument and the payload of a mutation, connections, edges, `PageInfo` and ids. A description of its own takes
 * precedence.
 */
export function describeConventions(schema: GraphQLSchema): GraphQLSchema {
  const mutations = schema.getMutationType()?.getFields() ?? {};
  for (const type of Object.values(schema.getTypeMap())) {
    type.description ??= describeType(type, mutations);
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      field.description ??= describeField(type, field);
    }
  }
  for (const field of Object.values(mutations)) {
    for (const arg of field.args) {
      if (arg.name === 'input') arg.description ??= `The input of \`${field.name}\`.`;
    }
  }
  return schema;
}

/** The mutation that an input or payload type belongs to. */
const mutationOf = (name: string, suffix: 'Input' | 'Payload'): string =>
  name.charAt(0).toLowerCase() + name.slice(1, -suffix.length);

function describeType(type: GraphQLNamedType, mutations: object): string | undefined {
  const { name } = type;
  if (isInputObjectType(type) && name.endsWith('Input')) {
    const mutation = mutationOf(name, 'Input');
    return mutation in mutations ? `The input of the mutation \`${mutation}\`.` : undefined;
  }
  if (!isObjectType(type)) return undefined;
  if (name.endsWith('Payload')) return `The result of the mutation \`${mutationOf(name, 'Payload')}\`.`;
  const { node } = type.getFields();
  if (name.endsWith('Edge') && node)
    return `An item of a page: an object of type \`${getNamedType(node.type).name}\` and its cursor.`;
  const { nodes } = type.getFields();
  if (name.endsWith('Connection') && nodes) {
    return `A page of a list of \`${getNamedType(nodes.type).name}\` objects.`;
  }
  if (name === 'PageInfo') return 'The position of a page in its list.';
  return undefined;
}

const pageInfoFields: Readonly<Record<string, string>> = {
  endCursor: 'The cursor of the last item, to pass as `after`. It is null if the page is empty.',
  hasNextPage: 'Whether there are items after this page.',
  hasPreviousPage: 'Whether there are items before this page.',
  startCursor: 'The cursor of the first item, to pass as `before`. It is null if the page is empty.',
};

function describeField({ name: typeName }: GraphQLNamedType, { name }: GraphQLField<unknown, unknown>) {
  if (name === 'id') return 'The globally unique id of this object.';
  if (typeName === 'PageInfo') return pageInfoFields[name];
  if (typeName.endsWith('Connection')) {
    if (name === 'edges') return 'The items of the page with their cursors.';
    if (name === 'nodes') return 'The items of the page.';
    if (name === 'pageInfo') return 'The position of the page in the list.';
  }
  if (typeName.endsWith('Edge')) {
    if (name === 'cursor') return 'The position of the item in the list, to pass as `after` or `before`.';
    if (name === 'node') return 'The item.';
  }
  return undefined;
}
