import { type GraphQLResolveInfo, isObjectType } from 'graphql';
import { badInput } from '../core/errors.js';
import { decodeGlobalId } from '../core/ids.js';
import { builder } from './builder.js';
import { viewerOf } from './context.js';

/**
 * Checks that an id belongs to a type that can be fetched by id.
 * @returns the id.
 * @throws {ChatError} BAD_USER_INPUT with the given field if it does not.
 */
function checkNodeId(id: string, field: string, info: GraphQLResolveInfo): string {
  const type = info.schema.getType(decodeGlobalId(id, field).typename);
  if (!isObjectType(type) || !type.getInterfaces().some(({ name }) => name === 'Node')) {
    throw badInput(field, 'This is not a valid id.');
  }
  return id;
}

builder.queryField('node', (t) =>
  t.node({
    description: 'An object by its id. It is null if the object does not exist or the viewer cannot see it.',
    args: { id: t.arg.id({ required: true, description: 'The id of the object.' }) },
    id: (_root, { id }, context, info) => {
      viewerOf(context);
      return checkNodeId(id, 'id', info);
    },
  }),
);

builder.queryField('nodes', (t) =>
  t.nodeList({
    description:
      'Several objects, in the order of their ids, at most `serverInfo.limits.pageMax`. An entry is null if the object does not exist or the viewer cannot see it.',
    args: { ids: t.arg.idList({ required: true, description: 'The ids of the objects.' }) },
    ids: (_root, { ids }, context, info) => {
      viewerOf(context);
      const max = context.deps.config.pageMax;
      if (ids.length > max) throw badInput('ids', `A request can ask for at most ${max} ids.`, 'pageMax');
      return ids.map((id, index) => checkNodeId(id, `ids.${index}`, info));
    },
  }),
);
