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

// How large an operation may be. Fragments count wherever they are spread, and each is gone through once: so fragments that
// double each other cost nothing to measure, and much in what is measured.

type SizeLimits = Pick<
  Config,
  | 'operationDepthMax'
  | 'operationRootFieldsMax'
  | 'operationFieldsMax'
  | 'operationAliasesMax'
  | 'operationDirectivesMax'
  | 'operationComparisonsMax'
>;
type CostLimits = Config;
type ClientLimitName = 'operationDepthMax' | 'operationCostMax';

interface Size {
  depth: number;
  /** Fields at the top. */
  width: number;
  /** Fields and fragments, wherever they are. */
  fields: number;
  aliases: number;
  directives: number;
}

const nothing: Size = { depth: 0, width: 0, fields: 0, aliases: 0, directives: 0 };

/**
 * What is too large of a document's operations, whatever the schema, and fragments that are part of themselves: before it
 * is validated, which takes longer.
 */
export function findOversize(document: DocumentNode, limits: SizeLimits): GraphQLError[] {
  const fragments = fragmentsOf(document);
  const sizes = new Map<string, Size>();
  const measuring = new Set<string>();
  const cycles: GraphQLError[] = [];

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
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      return { ...within, fields: 1 + within.fields, directives: within.directives + directives };
    }
    return {
      // Introspection is bounded by GraphQL's own rule, and needs more than any operation.
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
    // One that is not there is refused by validation.
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
      // Also one that no operation spreads is validated.
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
  if (oversize.length > 0 || cycles.length > 0) return [...oversize, ...cycles];
  const comparisons = comparisonsOf(document, fragments);
  const [first] = operationsOf(document);
  return over(first, comparisons, limits.operationComparisonsMax, 'pairs of fields and fragments to compare');
}

/**
 * About how much validation has to compare: every two fields that come together under one name in an answer, and every
 * two definitions. Of a document without cycles and of bounded size, for fragments are gone through as often as they are
 * spread.
 */
function comparisonsOf(document: DocumentNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>): number {
  const counted = new Set<FragmentDefinitionNode>();

  /** The pairs of fields in selections that are merged into one, and below. */
  function pairsIn(sets: readonly SelectionSetNode[]): number {
    const byName = new Map<string, { count: number; below: SelectionSetNode[] }>();
    const spread = new Set<FragmentDefinitionNode>();
    const collect = ({ selections }: SelectionSetNode): void => {
      for (const selection of selections) {
        if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
        else if (selection.kind === Kind.FRAGMENT_SPREAD) {
          const fragment = fragments.get(selection.name.value);
          // Once in each answer: a fragment is not compared with itself.
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

/** The cost of a list whose length nobody gives. */
const LIST_LENGTH = 10;

/** What a page costs beyond its fields: authorizing, reading and connecting it takes as long as that many of them. */
const PAGE_POINTS = 20;

/** What a selection costs: once, and for each item of the page that it is in; and how often it asks the database. */
interface Cost {
  once: number;
  each: number;
  /** Once for all items of the lists that it is in: what is read for many is read together (loader.ts). */
  statements: number;
}

const free: Cost = { once: 0, each: 0, statements: 0 };

/**
 * Measures what operations cost: how many fields their answer can have, of lists as many times as they can be long, and
 * how many statements they need.
 */
export interface Costs {
  /** What is wrong with it, if it costs too much with these variables. For an operation that is valid. */
  check(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>> | null | undefined,
  ): GraphQLError | undefined;
  /** The cost points of a valid operation with these variables. */
  pointsOf(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>> | null | undefined,
  ): number;
}

export function createCosts(schema: GraphQLSchema, limits: CostLimits): Costs {
  /** Of operations whose lists are as long whatever their variables. */
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
  /** With other variables it can be another one. */
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

  /** How long the list can be that a field answers, or the page. */
  function lengthOf(args: readonly GraphQLArgument[], given: ReadonlyMap<string, ValueNode>): number | undefined {
    if (!isPaged({ args })) {
      // As many as are named.
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
    // A larger one is refused where it is read, with its name.
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
    // Of GraphQL itself: known without asking anybody.
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
    // A page brings its edges, its nodes and what it says of itself along.
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
    // Validation has seen that none is part of itself.
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

/** @param limit the name that clients know the limit by, if they do. */
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
