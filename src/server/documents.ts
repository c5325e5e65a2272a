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
import { bytesOf } from './kept.js';

/** About how many bytes of documents are remembered, those used last. */
const REMEMBERED_BYTES = 64 * 1024 * 1024;
/** Errors of one document that are looked for. */
const ERRORS_MAX = 20;
/** Characters of an unknown name that are quoted. */
const NAME_SHOWN_CHARS = 100;

/**
 * The operations that clients send, each parsed, measured and validated once: the same text gives the same document. Their
 * errors are as clients are told.
 */
export interface Documents {
  /** The document of an operation, or what is wrong with it. */
  read(text: string): DocumentNode | readonly GraphQLError[];
  /** The same in two steps, for who asks for each. @throws {GraphQLError} */
  parse(text: string): DocumentNode;
  /** What is wrong with a document that `parse` gave; nothing where it is valid and not too large. */
  errorsOf(document: DocumentNode): readonly GraphQLError[];
  /** What they are to be executed with. */
  readonly execution: { hideSuggestions: boolean };
  /** What errors of their execution are to be presented with. */
  readonly presenting: Presenting;
  /** The operation that is asked for. @throws {GraphQLError} The document has none of this name, or several and no name came. */
  operationOf(document: DocumentNode, operationName: string | null | undefined): OperationDefinitionNode;
  /** Whether an operation costs too much, with the variables that it is asked with. */
  findExcess(args: Asked): GraphQLError | undefined;
  /** The cost points of a valid operation; 0 where the document has none of this name. */
  costOf(args: Asked): number;
}

type Asked = Pick<ExecutionArgs, 'document' | 'operationName' | 'variableValues'>;

export function createDocuments(schema: GraphQLSchema, config: Config, log: Logger): Documents {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: (document) => bytesOf(document) + 1,
  });
  /** Of each document, once it was validated. */
  const errors = new WeakMap<DocumentNode, readonly GraphQLError[]>();
  const costs = createCosts(schema, config);
  const { introspection, operationTokensMax: maxTokens, operationValuesMax } = config;
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  // What they suggest are names of the schema.
  const hideSuggestions = !introspection;

  const unknown = createNodeRate(
    'Too many new documents. Send values as variables, so that documents can be reused.',
    config.rateUnknownDocumentPerAddress,
  );
  /** What is read without a request, at the start, is not limited. */
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
      // Deeper than the stack, which a large OPERATION_TOKENS_MAX lets through.
      const tooDeep = error instanceof RangeError;
      throw presentError(tooDeep ? new GraphQLError('The document is nested too deeply.') : error, log);
    }
  }

  /** Of the variables of documents that are in use. */
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

  const documentsOf: Documents = {
    execution: { hideSuggestions },
    presenting,
    operationOf(document, operationName) {
      const operation = getOperationAST(document, operationName);
      if (operation) return operation;
      const message = operationName
        ? `The document contains no operation with the name ${JSON.stringify(operationName).slice(0, NAME_SHOWN_CHARS)}.`
        : 'The document must contain exactly one operation, or the request must name one of them.';
      throw presentError(new GraphQLError(message), log);
    },
    read(text) {
      try {
        const document = documentsOf.parse(text);
        const found = documentsOf.errorsOf(document);
        return found.length > 0 ? found : document;
      } catch (error) {
        return [error as GraphQLError];
      }
    },
    parse(text) {
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
    },
    errorsOf(document) {
      let found = errors.get(document);
      if (!found) {
        found = errorsIn(document).map((error) => presentError(error, log));
        errors.set(document, found);
      }
      return found;
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
  return documentsOf;
}

/** How many values a value consists of, itself included. It stops soon after `max`. */
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

/** The one argument that takes a variable, with the path inside of its value; undefined where there are several. */
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
