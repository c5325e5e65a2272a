import type { FieldMap, InputFieldMap, InputShapeFromFields } from '@pothos/core';
import { idOf } from '../core/ids.js';
import type { Deps } from '../platform/deps.js';
import type { Viewer } from '../platform/viewer.js';
import { builder } from './builder.js';
import { type Context, viewerOf } from './context.js';

type Types = typeof builder.$inferSchemaTypes;

/** The names of the fields of an input whose values are ids. */
type IdFields<Input> = {
  [Name in keyof Input]-?: NonNullable<Input[Name]> extends string | readonly string[] ? Name : never;
}[keyof Input];

/** The builder of the fields of an input. */
export type InputFields = PothosSchemaTypes.InputFieldBuilder<Types, 'InputObject'>;

interface MutationOptions<Fields extends InputFieldMap, Payload> {
  description: string;
  input: (t: InputFields) => Fields;
  /** The types of the objects that fields of the input identify. Their values are passed on as the ids of rows. */
  ids?: { readonly [Name in IdFields<InputShapeFromFields<Fields>>]?: string };
  /** Defines the type of the result with this name. */
  payload: (name: string) => PothosSchemaTypes.ObjectRef<Types, Payload>;
  /** Set if the mutation has a rate limit of its own, instead of the one of all mutations of a user. */
  hasOwnRate?: true;
}

/**
 * Adds a mutation with the argument `input`, and its types: `pinMessage` has `PinMessageInput` and `PinMessagePayload`.
 * The ids in the input are decoded first: BAD_USER_INPUT, with the path of the field, if one is malformed or of another
 * type.
 */
export function addMutation<const Fields extends InputFieldMap, Payload>(
  name: string,
  {
    begin,
    run,
    ...options
  }: MutationOptions<Fields, Payload> & {
    /** Called before the ids are decoded. */
    begin?(context: Context): void;
    run(context: Context, input: InputShapeFromFields<Fields>): Promise<Payload> | Payload;
  },
): void {
  const typeName = name.charAt(0).toUpperCase() + name.slice(1);
  const type = builder.inputType(`${typeName}Input`, { fields: options.input });
  const payload = options.payload(`${typeName}Payload`);
  const ids = Object.entries<string | undefined>(options.ids ?? {});
  const resolve = (_root: object, { input }: { input: object }, context: Context) => {
    begin?.(context);
    return run(context, decodeIds(input, ids) as InputShapeFromFields<Fields>);
  };
  builder.mutationField(name, (t) =>
    t.field({
      type: payload,
      description: options.description,
      args: { input: t.arg({ type, required: true }) },
      extensions: options.hasOwnRate ? { hasOwnRate: true } : {},
      // The compiler cannot compare the result with a payload that is a type parameter; the type of `run` does.
      resolve: resolve as never,
    }),
  );
}

/** Adds a mutation that only a signed-in user can call. See `addMutation`. */
export function addViewerMutation<const Fields extends InputFieldMap, Payload>(
  name: string,
  {
    run,
    ...options
  }: MutationOptions<Fields, Payload> & {
    run(deps: Deps, viewer: Viewer, input: InputShapeFromFields<Fields>, context: Context): Promise<Payload> | Payload;
  },
): void {
  addMutation(name, {
    ...options,
    begin: viewerOf,
    run: (context, input) => run(context.deps, viewerOf(context), input, context),
  });
}

function decodeIds(input: object, ids: readonly (readonly [name: string, typename: string | undefined])[]): object {
  const decoded: Record<string, unknown> = { ...input };
  for (const [name, typename = ''] of ids) {
    const value = decoded[name];
    if (value == null) continue;
    const path = `input.${name}`;
    decoded[name] = Array.isArray(value)
      ? value.map((id: string, index) => idOf(typename, id, `${path}.${index}`))
      : idOf(typename, value as string, path);
  }
  return decoded;
}

/** The type of a result with these fields, for `payload` of a mutation. */
export const payloadOf =
  <Fields extends FieldMap>(
    fields: (t: PothosSchemaTypes.RootFieldBuilder<Types, unknown, 'SimpleObject'>) => Fields,
  ) =>
  (name: string) =>
    builder.simpleObject(name, { fields });
