import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './app/schema.js';

/** Prints the content of schema.graphql, sorted so that diffs are minimal. */
process.stdout.write(`${printSchema(lexicographicSortSchema(schema))}\n`);
