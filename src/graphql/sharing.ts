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
 * On a type (its `extensions`): the fields that are the same for whoever may see the object, by name. A field that is
 * not named depends on the viewer: forgetting one costs time, and gives nobody's secrets away.
 */
export const shared = (...fields: string[]) => ({ [SHARED]: fields });

/** The same on one field, of a type that another feature owns. */
export const sharedField = { [SHARED]: true };

/** On a field that depends on the viewer: viewers with the same key get the same value. */
export const keyedBy = <Source>(key: (source: Source, viewerId: string) => string) => ({ [KEYED]: key });

/** On a field of an event: how its value is got from the event, so that fields of it can be keyed. */
export const givesSource = <Event>(source: (event: Event) => unknown) => ({ [SOURCE]: source });

type Key = (source: unknown, viewerId: string) => string;
type Source = (event: unknown) => unknown;

/** How the answers to a subscription's events can be shared. */
export interface SharingPlan {
  /** Viewers with the same key get the same answer to this event. */
  keyOf(event: unknown, viewerId: string): string;
  /** Whether that is one and the same for everybody. */
  forAll: boolean;
  /** Names of the variables that answers depend on. */
  variables: readonly string[];
}

/** Reads from a valid subscription on what its answers depend. */
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

  /** `types`: what the object that is selected from can be. */
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
    // Names that begin with __ are of GraphQL itself.
    if (!field) return;
    const key = field.extensions[KEYED] as Key | undefined;
    if (key && source) keys.push((event, viewerId) => key(source(event), viewerId));
    else if (!isShared(type, field)) perViewer = true;
    if (selections) visitSelections(objectTypes(schema, getNamedType(field.type)), selections, below(field, source));
  }

  const rootType = schema.getSubscriptionType();
  for (const root of operation.selectionSet.selections) {
    // Arguments of the root say which events come, not what of them is answered.
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

/** Whether a field is the same for whoever may see the object. */
export const isShared = (type: GraphQLObjectType, field: GraphQLField<unknown, unknown>): boolean =>
  field.extensions[SHARED] === true ||
  ((type.extensions[SHARED] as string[] | undefined)?.includes(field.name) ?? false);

/** The object types that an object of this type can be of. */
function objectTypes(schema: GraphQLSchema, type: GraphQLNamedType | undefined): readonly GraphQLObjectType[] {
  if (isAbstractType(type)) return schema.getPossibleTypes(type);
  return isObjectType(type) ? [type] : [];
}

/** How what is below a field is got from the event; undefined when only running the resolvers tells. */
function below({ extensions }: GraphQLField<unknown, unknown>, source: Source | undefined): Source | undefined {
  const step = extensions[SOURCE] as Source | undefined;
  return source && step && ((event) => step(source(event)));
}
