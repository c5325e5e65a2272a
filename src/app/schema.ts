import { defaultFieldResolver } from 'graphql';
import { builder } from '../graphql/builder.js';
import type { Context } from '../graphql/context.js';
import { describeConventions } from '../graphql/conventions.js';
import { refuseUnstorableTexts } from '../graphql/texts.js';
import { mutationPerPerson, take } from '../platform/rates.js';
import { features } from './features.js';
import '../graphql/node.schema.js';

// In order, because the types of a feature extend those of preceding features.
for (const feature of features) await feature.schema?.(features);

/** The complete schema. */
export const schema = describeConventions(refuseUnstorableTexts(builder.toSchema()));

// The mutations of one operation run in series. Each starts with the viewer of the operation, even after a mutation
// that signed another user in, and each is counted against the rate limit, whatever its alias.
for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
  const resolve = field.resolve ?? defaultFieldResolver;
  const isCounted = !field.extensions['hasOwnRate'];
  field.resolve = (root, args, context: Context, info) => {
    context.identity = context.requester;
    const { requester, deps } = context;
    if (isCounted && requester && !(requester instanceof Error)) take(deps, mutationPerPerson, requester);
    return resolve(root, args, context, info);
  };
}
