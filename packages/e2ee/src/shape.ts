import { fromBase64Url } from './bytes.js';
import { E2eeError, type E2eeErrorCode } from './errors.js';

type Test = (value: unknown) => boolean;

/** The form of data of the server. A list contains the form of each of its elements; fields that are not named can have any value. */
export type Shape = Test | readonly [Shape] | { readonly [field: string]: Shape };

export const text: Test = (value) => typeof value === 'string';
export const flag: Test = (value) => typeof value === 'boolean';
export const int: Test = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;

export const bytes: Test = (value) => {
  try {
    fromBase64Url(value as string);
    return typeof value === 'string';
  } catch {
    return false;
  }
};

/** A field that can also be null or missing. */
export const optional =
  (shape: Shape): Test =>
  (value) =>
    value == null || matches(value, shape);

function matches(value: unknown, shape: Shape): boolean {
  if (typeof shape === 'function') return shape(value);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(shape)) return Array.isArray(value) && value.every((item) => matches(item, shape[0] as Shape));
  return Object.entries(shape).every(([field, each]) => matches((value as Record<string, unknown>)[field], each));
}

/** @throws E2eeError with this code if the value has another form. */
export function check(value: unknown, shape: Shape, code: E2eeErrorCode, message: string): void {
  if (!matches(value, shape)) throw new E2eeError(code, message);
}
