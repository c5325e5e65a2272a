import {
  type DefinitionNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLArgument,
  type GraphQLCompositeType,
  GraphQLError,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  isUnionType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import type { Config } from '../infra/config/config.js';
import { boundOf, doesAsk } from './costs.js';

// These checks limit the size and the cost of operations. Fragments count each time they are spread, but each is
// visited only once. Fragments that spread other fragments repeatedly therefore count exponentially and are measured in
// linear time.

type SizeLimits = Pick<
  Config,
  | 'operationDepthMax'
  | 'operationRootFieldsMax'
  | 'operationFieldsMax'
  | 'operationAliasesMax'
  | 'operationAliasMaxChars'
  | 'operationDirectivesMax'
  | 'operationComparisonsMax'
>;
type CostLimits = Config;
type ClientLimitName = 'operationDepthMax' | 'operationCostMax';

interface Size {
  depth: number;
  /** The number of root fields. */
  width: number;
  /** The number of fields and fragments at all levels. */
  fields: number;
  aliases: number;
  directives: number;
}

const nothing: Size = { depth: 0, width: 0, fields: 0, aliases: 0, directives: 0 };

/**
 * Checks the sizes of a document's operations, independently of the schema, and that no fragment contains itself. It
 * runs before validation, which takes longer.
 * @returns the errors, or an empty array.
 */
export function findOversize(document: DocumentNode, limits: SizeLimits): GraphQLError[] {
  const fragments = fragmentsOf(document);
  const sizes = new Map<string, Size>();
  const measuring = new Set<string>();
  const cycles: GraphQLError[] = [];
  const longAliases: GraphQLError[] = [];

  function sizeOfAll({ selections }: SelectionSetNode): Size {
    const total = { ...nothing };
    for (const selection of selections) {
      const size = sizeOf(selection);
      total.depth = Math.max(total.depth, size.depth);
      total.width += size.width;
      total.fields += size.fields;
      total.aliases += size.aliases;
      total.directives += size.directives;
    }
    return total;
  }

  function sizeOf(selection: SelectionNode): Size {
    const directives = selection.directives?.length ?? 0;
    if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const spread = sizeOfFragment(selection.name.value);
      return { ...spread, fields: 1 + spread.fields, directives: spread.directives + directives };
    }
    const within = selection.selectionSet ? sizeOfAll(selection.selectionSet) : nothing;
    if (selection.kind === Kind.FIELD && (selection.alias?.value.length ?? 0) > limits.operationAliasMaxChars) {
      // The response repeats the alias for each item of a list.
      const message = `An alias can have at most ${limits.operationAliasMaxChars} characters.`;
      longAliases.push(new GraphQLError(message, { nodes: selection }));
    }
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      return { ...within, fields: 1 + within.fields, directives: within.directives + directives };
    }
    return {
      // Introspection is limited by GraphQL's own rule, and is deeper than other operations.
      depth: 1 + (isIntrospection(selection.name.value) ? 0 : within.depth),
      width: 1,
      fields: 1 + within.fields,
      aliases: within.aliases + (selection.alias ? 1 : 0),
      directives: within.directives + directives,
    };
  }

  function sizeOfFragment(name: string): Size {
    const known = sizes.get(name);
    if (known) return known;
    const fragment = fragments.get(name);
    // Validation rejects spreads of fragments that do not exist.
    if (!fragment) return nothing;
    if (measuring.has(name)) {
      cycles.push(new GraphQLError(`Cannot spread fragment "${name}" within itself.`, { nodes: fragment }));
      return nothing;
    }
    measuring.add(name);
    const size = sizeOfAll(fragment.selectionSet);
    sizes.set(name, size);
    return size;
  }

  const oversize = document.definitions.flatMap((definition) => {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) {
      // Fragments that no operation spreads are validated as well.
      return over(definition, sizeOfFragment(definition.name.value).fields, limits.operationFieldsMax, 'fields');
    }
    if (definition.kind !== Kind.OPERATION_DEFINITION) return [];
    const size = sizeOfAll(definition.selectionSet);
    const directives = size.directives + (definition.directives?.length ?? 0);
    return [
      ...over(definition, size.depth, limits.operationDepthMax, 'levels of nested fields', 'operationDepthMax'),
      ...over(definition, size.width, limits.operationRootFieldsMax, 'fields at the top level'),
      ...over(definition, size.fields, limits.operationFieldsMax, 'fields'),
      ...over(definition, size.aliases, limits.operationAliasesMax, 'aliases'),
      ...over(definition, directives, limits.operationDirectivesMax, 'directives'),
    ];
  });
  const found = [...oversize, ...longAliases, ...cycles];
  if (found.length > 0) return found;
  const comparisons = comparisonsOf(document, fragments);
  const [first] = operationsOf(document);
  return over(first, comparisons, limits.operationComparisonsMax, 'pairs of fields and fragments to compare');
}

/**
 * Estimates the number of comparisons that validation makes: each pair of fields with the same name in a response, and
 * each pair of definitions. The document must have no cycles and a limited size, because fragments are visited each
 * time they are spread.
 */
function comparisonsOf(document: DocumentNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>): number {
  const counted = new Set<FragmentDefinitionNode>();

  /** The number of pairs of fields in selections that are merged, and below them. */
  function pairsIn(sets: readonly SelectionSetNode[]): number {
    const byName = new Map<string, { count: number; below: SelectionSetNode[] }>();
    const spread = new Set<FragmentDefinitionNode>();
    const collect = ({ selections }: SelectionSetNode): void => {
      for (const selection of selections) {
        if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
        else if (selection.kind === Kind.FRAGMENT_SPREAD) {
          const fragment = fragments.get(selection.name.value);
          // A fragment is not compared with itself.
          if (!fragment || spread.has(fragment)) continue;
          spread.add(fragment);
          counted.add(fragment);
          collect(fragment.selectionSet);
        } else {
          const name = (selection.alias ?? selection.name).value;
          const same = byName.get(name) ?? { count: 0, below: [] };
          same.count += 1;
          if (selection.selectionSet) same.below.push(selection.selectionSet);
          byName.set(name, same);
        }
      }
    };
    for (const set of sets) collect(set);
    let pairs = 0;
    for (const { count, below } of byName.values()) {
      pairs += pairsOf(count) + (below.length > 0 ? pairsIn(below) : 0);
    }
    return pairs;
  }

  let total = pairsOf(document.definitions.length);
  for (const { selectionSet } of operationsOf(document)) total += pairsIn([selectionSet]);
  for (const fragment of fragments.values()) if (!counted.has(fragment)) total += pairsIn([fragment.selectionSet]);
  return total;
}

const pairsOf = (count: number): number => (count * (count - 1)) / 2;

/** The assumed length of a list whose length is not limited. */
const LIST_LENGTH = 10;

/** The additional points of a page, which represent authorization, the query and the connection. */
const PAGE_POINTS = 20;

/**
 * The cost of a selection: in total points, in points per item of the page that contains it, and in database
 * statements.
 */
interface Cost {
  once: number;
  each: number;
  /** The number of statements. It does not depend on the number of items, because lookups are batched (loader.ts). */
  statements: number;
}

const free: Cost = { once: 0, each: 0, statements: 0 };

/**
 * Measures the cost of operations: the maximum number of fields in the response, where the fields of a list count as
 * many times as the list can have items, and the number of database statements.
 */
export interface Costs {
  /** Returns an error if a valid operation exceeds the limits with these variables. */
  check(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>> | null | undefined,
  ): GraphQLError | undefined;
  /** The points of a valid operation with these variables. */
  pointsOf(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>> | null | undefined,
  ): number;
}

export function createCosts(schema: GraphQLSchema, limits: CostLimits): Costs {
  /** The costs of operations that do not depend on variables. */
  const fixed = new WeakMap<OperationDefinitionNode, OperationCost>();
  const measure: (...call: Parameters<Costs['pointsOf']>) => OperationCost = (document, operation, variables) => {
    let cost = fixed.get(operation);
    if (cost === undefined) {
      cost = costOf(schema, limits, document, operation, variables ?? {});
      if (!cost.varies) fixed.set(operation, cost);
    }
    return cost;
  };
  return {
    pointsOf: (...call) => measure(...call).points,
    check(document, operation, variables) {
      const cost = measure(document, operation, variables);
      return (
        over(operation, cost.points, limits.operationCostMax, 'cost points', 'operationCostMax')[0] ??
        over(operation, cost.statements, limits.operationStatementsMax, 'statements')[0]
      );
    },
  };
}

interface OperationCost {
  points: number;
  statements: number;
  /** Whether the cost depends on the variables. */
  varies: boolean;
}

function costOf(
  schema: GraphQLSchema,
  config: CostLimits,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): OperationCost {
  const { pageMax, pageDefault } = config;
  const fragments = fragmentsOf(document);
  const costs = new Map<string, Cost>();
  let varies = false;

  function readValue(node: ValueNode): unknown {
    if (node.kind === Kind.INT) return Number(node.value);
    if (node.kind === Kind.LIST) return node.values;
    if (node.kind !== Kind.VARIABLE) return undefined;
    varies = true;
    const name = node.name.value;
    if (variables[name] !== undefined) return variables[name];
    const given = operation.variableDefinitions?.find(({ variable }) => variable.name.value === name)?.defaultValue;
    return given && readValue(given);
  }

  /**
   * The maximum length of the list or page that a field returns, or undefined if it is not known from its arguments.
   */
  function lengthOf(args: readonly GraphQLArgument[], given: ReadonlyMap<string, ValueNode>): number | undefined {
    if (!isPaged({ args })) {
      // A list argument, such as `ids`, determines the length.
      const named = args.find(({ type }) => isListType(getNullableType(type)));
      const value = named && given.get(named.name);
      const list = value && readValue(value);
      return Array.isArray(list) ? Math.min(list.length, pageMax) : undefined;
    }
    const sizes = ['first', 'last'].flatMap((name) => {
      const value = given.get(name);
      const size = value && readValue(value);
      return typeof size === 'number' && size >= 0 ? [size] : [];
    });
    // A larger size is rejected by the resolver, with the path of the argument.
    return Math.min(sizes.length > 0 ? Math.max(...sizes) : pageDefault, pageMax);
  }

  function costOfAll({ selections }: SelectionSetNode, type: GraphQLCompositeType): Cost {
    const total = { ...free };
    for (const selection of selections) {
      const { once, each, statements } = costOfSelection(selection, type);
      total.once += once;
      total.each += each;
      total.statements += statements;
    }
    return total;
  }

  function costOfSelection(selection: SelectionNode, type: GraphQLCompositeType): Cost {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return costOfFragment(selection.name.value);
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      const condition = selection.typeCondition && schema.getType(selection.typeCondition.name.value);
      return costOfAll(selection.selectionSet, isCompositeType(condition) ? condition : type);
    }
    const field = isUnionType(type) ? undefined : type.getFields()[selection.name.value];
    // A field of GraphQL itself, such as `__typename`, needs no query.
    if (!field) return free;
    return costOfField(field, new Map(selection.arguments?.map(({ name, value }) => [name.value, value])), {
      selections: selection.selectionSet,
      isOfPage: type.name.endsWith('Connection'),
      isOfEdge: type.name.endsWith('Edge'),
    });
  }

  function costOfField(
    field: GraphQLField<unknown, unknown>,
    given: ReadonlyMap<string, ValueNode>,
    {
      selections,
      isOfPage,
      isOfEdge,
    }: { selections: SelectionSetNode | undefined; isOfPage: boolean; isOfEdge: boolean },
  ): Cost {
    const type = getNamedType(field.type);
    const within = selections && isCompositeType(type) ? costOfAll(selections, type) : free;
    // The fields of a connection and its edges are read together with the page.
    const asks = (isCompositeType(type) && !isOfPage && !isOfEdge) || doesAsk(field.extensions);
    const statements = within.statements + (asks ? 1 : 0);
    const length = lengthOf(field.args, given) ?? boundOf(field.extensions, config);
    const isList = isListType(getNullableType(field.type));
    if (isList && isOfPage) return { once: 0, each: 1 + within.once, statements };
    if (isList) return { once: 1 + (length ?? LIST_LENGTH) * Math.max(1, within.once), each: 0, statements };
    const ofPage = isPaged(field) ? PAGE_POINTS : 0;
    return { once: 1 + ofPage + within.once + (length ?? LIST_LENGTH) * within.each, each: 0, statements };
  }

  function costOfFragment(name: string): Cost {
    const known = costs.get(name);
    if (known) return known;
    // Validation guarantees that there are no cycles.
    const fragment = fragments.get(name);
    const type = fragment && schema.getType(fragment.typeCondition.name.value);
    const cost = fragment && isCompositeType(type) ? costOfAll(fragment.selectionSet, type) : free;
    costs.set(name, cost);
    return cost;
  }

  const root = schema.getRootType(operation.operation);
  const { once: points, statements } = root ? costOfAll(operation.selectionSet, root) : free;
  return { points, statements, varies };
}

const isPaged = ({ args }: Pick<GraphQLField<unknown, unknown>, 'args'>): boolean =>
  args.some(({ name }) => name === 'first' || name === 'last');

const isIntrospection = (name: string) => name === '__schema' || name === '__type';

const operationsOf = ({ definitions }: DocumentNode) =>
  definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);

function fragmentsOf({ definitions }: DocumentNode): Map<string, FragmentDefinitionNode> {
  const fragments = definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  return new Map(fragments.map((fragment) => [fragment.name.value, fragment]));
}

/**
 * @param limit the name of the limit for clients, if it has one.
 * @returns an error if `count` exceeds `max`.
 */
function over(
  of: DefinitionNode | undefined,
  count: number,
  max: number,
  what: string,
  limit?: ClientLimitName,
): GraphQLError[] {
  if (count <= max) return [];
  const found = count > Number.MAX_SAFE_INTEGER ? 'many more' : String(count);
  const message = `An operation can have at most ${max} ${what}; this one has ${found}.`;
  return [new GraphQLError(message, { nodes: of ?? null, ...(limit && { extensions: { limit } }) })];
}
