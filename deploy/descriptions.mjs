// Prints problems of the descriptions in schema.graphql, one per line, and exits with 1 if there are any. Everything
// must be described in full sentences, in standard terms, and without names of environment variables, which mean
// nothing to a client.
import { readFileSync } from 'node:fs';
import {
  buildSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql';
import { avoided } from './wording.mjs';

const settings = new Set(readFileSync('.env.example', 'utf8').match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []);

const problems = [];
const check = (name, description) => {
  if (!description) return problems.push(`${name} has no description.`);
  if (!/^[A-Z]/.test(description)) problems.push(`${name}: the description does not start with a capital letter.`);
  if (!/\.$/.test(description)) problems.push(`${name}: the description does not end with a full stop.`);
  for (const word of description.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []) {
    if (settings.has(word)) problems.push(`${name}: the description names the setting ${word}.`);
  }
  const match = avoided.exec(description);
  if (match) problems.push(`${name}: the description contains "${match[0]}".`);
};

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));
for (const type of Object.values(schema.getTypeMap())) {
  if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue;
  check(type.name, type.description);
  if (isEnumType(type)) {
    for (const value of type.getValues()) check(`${type.name}.${value.name}`, value.description);
  }
  if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
  for (const field of Object.values(type.getFields())) {
    check(`${type.name}.${field.name}`, field.description);
    for (const arg of field.args ?? []) check(`${type.name}.${field.name}(${arg.name})`, arg.description);
  }
}
for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
