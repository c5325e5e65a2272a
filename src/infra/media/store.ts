import type { Readable } from 'node:stream';

/**
 * The objects that an attachment has in the store. `upload` is what the client has sent, and `original` is the same without
 * metadata. The others are smaller versions.
 */
export type ObjectName = 'upload' | 'original' | 'preview' | 'thumbnail' | 'poster';

/** The bytes of attachments. All objects of an attachment have the same key. */
export interface MediaStore {
  /**
   * Writes a part of `upload` at an offset. The part is durable when the promise resolves.
   * @returns a tag with which the store identifies the part, or the empty string.
   * @throws {WrongLength} if the source has another length; the part has to be written again then.
   */
  writePart(key: string, part: { number: number; offset: number; byteSize: number }, source: Readable): Promise<string>;
  /** Passes a local file with the content of an object to `use`. It must not be changed. */
  withFile<Result>(key: string, name: ObjectName, use: (path: string) => Promise<Result>): Promise<Result>;
  /** Stores a local file as an object, replacing an earlier one. The file may be moved. */
  put(key: string, name: ObjectName, path: string): Promise<void>;
  /** Deletes an object. Does nothing if it does not exist. */
  remove(key: string, name: ObjectName): Promise<void>;
  /**
   * Opens a range of an object, both ends included.
   * @returns undefined if the object does not exist.
   */
  read(key: string, name: ObjectName, range: { start: number; end: number }): Promise<Readable | undefined>;
  /** The size of an object in bytes; undefined if it does not exist. */
  size(key: string, name: ObjectName): Promise<number | undefined>;
  /** Deletes all objects of a key. Does nothing if there are none. */
  deleteAll(key: string): Promise<void>;
  /** The keys of everything in the store, in any order. */
  keys(): AsyncIterable<string>;
}

/** A part whose length is not the announced one. */
export class WrongLength extends Error {}
