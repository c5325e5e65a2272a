import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  visit,
} from 'graphql';

const SHARED = 'parley.shared';
const KEYED = 'parley.keyed';
const SOURCE = 'parley.source';

/**
 * Marks fields of a type, by name, whose values are the same for every viewer who can see the object, for the type's
 * `extensions`. Fields that are not marked are computed for each viewer: a forgotten mark costs time but never exposes
 * data to other viewers.
 */
export const shared = (...fields: string[]) => ({ [SHARED]: fields });

/** The same as `shared`, for a single field of a type that belongs to another feature. */
export const sharedField = { [SHARED]: true };

/** Declares that viewers with the same key get the same value of a field. */
export const keyedBy = <Source>(key: (source: Source, viewerId: string) => string) => ({ [KEYED]: key });

/** Declares how the value of an event's field is derived from the event, so that fields of this value can have keys. */
export const givesSource = <Event>(source: (event: Event) => unknown) => ({ [SOURCE]: source });

type Key = (source: unknown, viewerId: string) => string;
type Source = (event: unknown) => unknown;

/** How the responses to the events of a subscription can be shared between viewers. */
export interface SharingPlan {
  /** Viewers with the same key get the same response to this event. */
  keyOf(event: unknown, viewerId: string): string;
  /** Whether all viewers get the same response to every event. */
  forAll: boolean;
  /** The names of the variables on which the responses depend. */
  variables: readonly string[];
}

/** Determines, for a valid subscription, on what its responses depend. */
export function planSharing(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): SharingPlan {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const keys: ((event: unknown, viewerId: string) => string)[] = [];
  let perViewer = false;
  const variables = new Set<string>();

  /** The parameter `types` contains the possible types of the object. */
  function visitSelections(
    types: readonly GraphQLObjectType[],
    { selections }: SelectionSetNode,
    source: Source | undefined,
  ): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) {
        for (const type of types) visitField(type, selection.name.value, selection.selectionSet, source);
        continue;
      }
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value);
      if (!fragment) continue;
      const condition =
        fragment.typeCondition && objectTypes(schema, schema.getType(fragment.typeCondition.name.value));
      const narrowed = condition ? types.filter((type) => condition.includes(type)) : types;
      visitSelections(narrowed, fragment.selectionSet, source);
    }
  }

  function visitField(
    type: GraphQLObjectType,
    name: string,
    selections: SelectionSetNode | undefined,
    source: Source | undefined,
  ): void {
    const field = type.getFields()[name];
    // Fields that begin with `__` belong to GraphQL itself.
    if (!field) return;
    const key = field.extensions[KEYED] as Key | undefined;
    if (key && source) keys.push((event, viewerId) => key(source(event), viewerId));
    else if (!isShared(type, field)) perViewer = true;
    if (selections) visitSelections(objectTypes(schema, getNamedType(field.type)), selections, below(field, source));
  }

  const rootType = schema.getSubscriptionType();
  for (const root of operation.selectionSet.selections) {
    // The arguments of the root field select events but do not change the response to an event.
    const withoutArguments = root.kind === Kind.FIELD ? { ...root, arguments: [] } : root;
    for (const node of [withoutArguments, ...fragments.values()]) {
      visit(node, { Variable: ({ name }) => void variables.add(name.value) });
    }
    const field = root.kind === Kind.FIELD ? rootType?.getFields()[root.name.value] : undefined;
    if (field && root.kind === Kind.FIELD && root.selectionSet) {
      visitSelections(objectTypes(schema, getNamedType(field.type)), root.selectionSet, (event) => event);
    } else perViewer = true;
  }
  return {
    keyOf(event, viewerId) {
      if (perViewer) return viewerId;
      return keys.length === 0 ? '' : keys.map((key) => key(event, viewerId)).join(' ');
    },
    forAll: !perViewer && keys.length === 0,
    variables: [...variables],
  };
}

/** Whether a field is the same for every viewer who can see the object. */
export const isShared = (type: GraphQLObjectType, field: GraphQLField<unknown, unknown>): boolean =>
  field.extensions[SHARED] === true ||
  ((type.extensions[SHARED] as string[] | undefined)?.includes(field.name) ?? false);

/** The possible object types of an object of this type. */
function objectTypes(schema: GraphQLSchema, type: GraphQLNamedType | undefined): readonly GraphQLObjectType[] {
  if (isAbstractType(type)) return schema.getPossibleTypes(type);
  return isObjectType(type) ? [type] : [];
}

/** How the value of a field is derived from the event, or undefined if only its resolver can determine it. */
function below({ extensions }: GraphQLField<unknown, unknown>, source: Source | undefined): Source | undefined {
  const step = extensions[SOURCE] as Source | undefined;
  return source && step && ((event) => step(source(event)));
}
