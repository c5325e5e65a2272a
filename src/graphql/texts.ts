import {
  type GraphQLArgument,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isObjectType,
} from 'graphql';
import { badInput } from '../core/errors.js';
import { isStorable } from '../core/text/characters.js';

/**
 * Makes every field of a schema reject texts that cannot be stored (with NUL characters or unpaired surrogates)
 * anywhere in its arguments, before it is resolved: BAD_USER_INPUT with the path of the text.
 */
export function refuseUnstorableTexts(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (!field.args.some(holdsText)) continue;
      const { resolve, subscribe } = field;
      if (subscribe) {
        // An async function would make it impossible to end the subscription while it is idle.
        field.subscribe = (source, args, context, info) => {
          checkTexts(args, []);
          return subscribe(source, args, context, info);
        };
      } else if (resolve) {
        field.resolve = (source, args, context, info) => {
          checkTexts(args, []);
          return resolve(source, args, context, info);
        };
      }
    }
  }
  return schema;
}

const holdsText = ({ type }: GraphQLArgument): boolean => isTextIn(type);

const isTextIn = (type: GraphQLInputType): boolean => {
  const named = getNamedType(type);
  return isInputObjectType(named) || named.name === 'String' || named.name === 'ID';
};

function checkTexts(value: unknown, path: readonly string[]): void {
  if (typeof value === 'string') {
    if (!isStorable(value))
      throw badInput(path.join('.'), 'Text must not contain NUL characters or unpaired surrogates.');
  } else if (Array.isArray(value)) {
    for (const one of value) checkTexts(one, path);
  } else if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    for (const [name, one] of Object.entries(value)) checkTexts(one, [...path, name]);
  }
}
