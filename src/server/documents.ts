import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { presentError } from '../graphql/errors.js';
import { createCosts, findOversize } from '../graphql/operation-limits.js';
import type { Config } from '../infra/config.js';
import type { Logger } from '../infra/log.js';

/** Characters of operations that are remembered, those used last: what they are parsed to takes some ten times that. */
const REMEMBERED_CHARS = 4 * 1024 * 1024;

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
  /** Whether an operation costs too much, with the variables that it is asked with. */
  findExcess(args: Pick<ExecutionArgs, 'document' | 'operationName' | 'variableValues'>): GraphQLError | undefined;
}

export function createDocuments(schema: GraphQLSchema, config: Config, log: Logger): Documents {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: REMEMBERED_CHARS,
    sizeCalculation: (_document, text) => text.length + 1,
  });
  /** Of each document, once it was validated. */
  const errors = new WeakMap<DocumentNode, readonly GraphQLError[]>();
  const costs = createCosts(schema, config);
  const { introspection, operationTokensMax: maxTokens } = config;
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  // What they suggest are names of the schema.
  const hideSuggestions = !introspection;

  function parseAnew(text: string): DocumentNode {
    try {
      return parse(text, { maxTokens });
    } catch (error) {
      // Deeper than the stack, which a large OPERATION_TOKENS_MAX lets through.
      const tooDeep = error instanceof RangeError;
      throw presentError(tooDeep ? new GraphQLError('This document is nested too deeply.') : error, log);
    }
  }

  const errorsIn = (document: DocumentNode): readonly GraphQLError[] => {
    const oversize = findOversize(document, config);
    if (oversize.length > 0) return oversize;
    return validate(schema, document, rules, { hideSuggestions });
  };

  const documentsOf: Documents = {
    execution: { hideSuggestions },
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
        document = parseAnew(text);
        documents.set(text, document);
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
      const excess = operation && costs.check(document, operation, variableValues);
      return excess ? presentError(excess, log) : undefined;
    },
  };
  return documentsOf;
}
