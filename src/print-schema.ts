import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './app/schema.js';

/** Prints the schema as it is kept in schema.graphql: sorted, so that a diff shows what changed. */
process.stdout.write(`${printSchema(lexicographicSortSchema(schema))}\n`);
