import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  type VariableDefinitionNode,
  validate,
  visit,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { networkOf } from '../core/networks.js';
import { type Presenting, presentError } from '../graphql/errors.js';
import { createCosts, findOversize } from '../graphql/operation-limits.js';
import type { Config } from '../infra/config/config.js';
import { createNodeRate } from '../infra/rates.js';
import type { Logger } from '../infra/telemetry/log.js';
import { currentRequest } from '../infra/telemetry/request.js';
import { bytesOf } from './memory-limits.js';

/** The approximate size of the cache of documents in bytes. The least recently used ones are removed first. */
const REMEMBERED_BYTES = 64 * 1024 * 1024;
/** The maximum number of validation errors per document. */
const ERRORS_MAX = 20;
/** The maximum number of characters of an unknown name in an error message. */
const NAME_SHOWN_CHARS = 100;

/**
 * Parses, measures and validates the documents that clients send, and caches the results: the same text results in the
 * same document object. Errors are in the form that clients receive.
 */
export interface Documents {
  /** The parsed document if it is valid and not too large, otherwise its errors. */
  read(text: string): DocumentNode | { errors: readonly GraphQLError[] };
  /** The options for executing the documents. */
  readonly execution: { hideSuggestions: boolean };
  /** The options for presenting errors of their execution. */
  readonly presenting: Presenting;
  /**
   * The requested operation of a document.
   * @throws {GraphQLError} if the document has no operation of this name, or several operations and no name is given.
   */
  operationOf(document: DocumentNode, operationName: string | null | undefined): OperationDefinitionNode;
  /** Returns an error if the cost of the operation with its variables exceeds the limits. */
  findExcess(args: Asked): GraphQLError | undefined;
  /** The points of a valid operation, or 0 if the document has no operation of this name. */
  costOf(args: Asked): number;
}

type Asked = Pick<ExecutionArgs, 'document' | 'operationName' | 'variableValues'>;

export function createDocuments(schema: GraphQLSchema, config: Config, log: Logger): Documents {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: (document) => bytesOf(document) + 1,
  });
  /** The validation errors of each document. */
  const errors = new WeakMap<DocumentNode, readonly GraphQLError[]>();
  const costs = createCosts(schema, config);
  const { introspection, operationTokensMax: maxTokens, operationValuesMax } = config;
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  // Suggestions would reveal names of the schema.
  const hideSuggestions = !introspection;

  const unknown = createNodeRate(
    'Too many new documents. Send values as variables, so that documents can be reused.',
    config.rateUnknownDocumentPerAddress,
  );
  /**
   * Applies the limit for unknown documents. Documents that are read without a request, at the start, are not limited.
   */
  function takeUnknown(): void {
    const address = currentRequest()?.address;
    if (address === undefined) return;
    try {
      unknown.take(networkOf(address));
    } catch (error) {
      throw presentError(error, log);
    }
  }

  function parseAnew(text: string): DocumentNode {
    try {
      return parse(text, { maxTokens });
    } catch (error) {
      // A high OPERATION_TOKENS_MAX allows documents that are nested more deeply than the stack permits.
      const tooDeep = error instanceof RangeError;
      throw presentError(tooDeep ? new GraphQLError('The document is nested too deeply.') : error, log);
    }
  }

  /** The documents in use, by the definitions of their variables. */
  const documentsByVariable = new WeakMap<VariableDefinitionNode, DocumentNode>();
  const presenting: Presenting = {
    hideSuggestions,
    argumentOf(variable) {
      const document = documentsByVariable.get(variable);
      return document && argumentWith(document, variable.variable.name.value);
    },
  };

  function tooManyValues(operation: OperationDefinitionNode, variables: unknown): GraphQLError | undefined {
    if (countValues(variables, operationValuesMax + 1) <= operationValuesMax + 1) return undefined;
    const message = `An operation can have at most ${operationValuesMax} values in its variables.`;
    return new GraphQLError(message, { nodes: operation });
  }

  const errorsIn = (document: DocumentNode): readonly GraphQLError[] => {
    const oversize = findOversize(document, config);
    if (oversize.length > 0) return oversize;
    return validate(schema, document, rules, { hideSuggestions, maxErrors: ERRORS_MAX });
  };

  function parseOnce(text: string): DocumentNode {
    let document = documents.get(text);
    if (!document) {
      takeUnknown();
      document = parseAnew(text);
      documents.set(text, document);
      for (const definition of document.definitions) {
        if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
        for (const variable of definition.variableDefinitions ?? []) documentsByVariable.set(variable, document);
      }
    }
    return document;
  }

  function errorsOf(document: DocumentNode): readonly GraphQLError[] {
    let found = errors.get(document);
    if (!found) {
      found = errorsIn(document).map((error) => presentError(error, log));
      errors.set(document, found);
    }
    return found;
  }

  return {
    execution: { hideSuggestions },
    presenting,
    operationOf(document, operationName) {
      const operation = getOperationAST(document, operationName);
      if (operation) return operation;
      const message = operationName
        ? `The document contains no operation with the name ${JSON.stringify(operationName).slice(0, NAME_SHOWN_CHARS)}.`
        : 'The document must contain exactly one operation, or the request must name one of them.';
      // With status 400 also for clients that accept application/json, which get 200 for other errors of a document.
      throw presentError(new GraphQLError(message, { extensions: { http: { status: 400 } } }), log);
    },
    read(text) {
      try {
        const document = parseOnce(text);
        const found = errorsOf(document);
        return found.length > 0 ? { errors: found } : document;
      } catch (error) {
        return { errors: [error as GraphQLError] };
      }
    },
    findExcess({ document, operationName, variableValues }) {
      const operation = getOperationAST(document, operationName);
      const excess =
        operation && (tooManyValues(operation, variableValues) ?? costs.check(document, operation, variableValues));
      return excess ? presentError(excess, log) : undefined;
    },
    costOf({ document, operationName, variableValues }) {
      const operation = getOperationAST(document, operationName);
      return operation ? costs.pointsOf(document, operation, variableValues) : 0;
    },
  };
}

/** Counts the values that a value contains, including itself. It stops soon after `max`. */
function countValues(value: unknown, max: number): number {
  const left = [value];
  let count = 0;
  while (left.length > 0 && count + left.length <= max) {
    const next = left.pop();
    count += 1;
    if (typeof next !== 'object' || next === null) continue;
    for (const inner of Array.isArray(next) ? next : Object.values(next)) left.push(inner);
  }
  return count + left.length;
}

/**
 * The path of the argument that uses a variable, including the path within the argument's value, or undefined if
 * several arguments use it.
 */
function argumentWith(document: DocumentNode, variableName: string): string | undefined {
  const paths = new Set<string>();
  const path: (string | number)[] = [];
  const leave = () => void path.pop();
  visit(document, {
    Argument: { enter: ({ name }) => void path.push(name.value), leave },
    ObjectField: { enter: ({ name }) => void path.push(name.value), leave },
    Variable({ name }, key) {
      if (name.value === variableName && path.length > 0)
        paths.add([...path, ...(typeof key === 'number' ? [key] : [])].join('.'));
    },
  });
  const [only] = paths;
  return paths.size === 1 ? only : undefined;
}
