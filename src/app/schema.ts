import { defaultFieldResolver } from 'graphql';
import { builder } from '../graphql/builder.js';
import type { Context } from '../graphql/context.js';
import { describeConventions } from '../graphql/conventions.js';
import { refuseUnstorableTexts } from '../graphql/texts.js';
import { mutationPerPerson, take } from '../platform/rates.js';
import { features } from './features.js';
import '../graphql/node.schema.js';

// One after another: types of one feature extend those of features before it.
for (const feature of features) await feature.schema?.(features);

/** The whole schema. */
export const schema = describeConventions(refuseUnstorableTexts(builder.toSchema()));

// The mutations of an operation run one after another: each starts as the viewer who sent the operation, also after one
// that signed somebody in. Each is counted, under whatever alias.
for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
  const resolve = field.resolve ?? defaultFieldResolver;
  const isCounted = !field.extensions['hasOwnRate'];
  field.resolve = (root, args, context: Context, info) => {
    context.identity = context.asker;
    const { asker, deps } = context;
    if (isCounted && asker && !(asker instanceof Error)) take(deps, mutationPerPerson, asker);
    return resolve(root, args, context, info);
  };
}
