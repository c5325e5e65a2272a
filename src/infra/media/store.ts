import type { Readable } from 'node:stream';
import { ChatError } from '../../core/errors.js';

/**
 * The objects that an attachment has in the store. `upload` is what the client has sent, and `original` is the same without
 * metadata. The others are smaller versions.
 */
export type ObjectName = 'upload' | 'original' | 'preview' | 'thumbnail' | 'poster';

/** A part of an upload. */
export interface Part {
  /** From 1. */
  number: number;
  /** Its first byte, from 0. */
  offset: number;
  byteSize: number;
}

/** The bytes of attachments. All objects of an attachment have the same key. */
export interface MediaStore {
  /** How clients send `upload` to the store. */
  readonly uploads: NodeUploads | DirectUploads;
  /**
   * Passes a local file with the content of an object to `use`. It must not be changed. Its folder is not used for anything
   * else until `use` has ended.
   */
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
  /**
   * Creates a URL at which everybody can read an object for some time. Absent if only nodes can read the store.
   * @param headers the headers that the response is to have.
   */
  urlOf?(
    key: string,
    name: ObjectName,
    headers: { contentType: string; contentDisposition: string; cacheControl: string },
  ): Promise<string>;
  /** The size of an object in bytes; undefined if it does not exist. */
  size(key: string, name: ObjectName): Promise<number | undefined>;
  /** Deletes all objects of a key, and its uploads in progress. Does nothing if there are none. */
  deleteAll(key: string): Promise<void>;
  /** The keys of everything in the store, in any order, each at least once. */
  keys(): AsyncIterable<string>;
  /** Whether the store can be used, according to its last requests. If they failed, this sends another one. */
  isAvailable(): Promise<boolean>;
  /** Ends transfers in progress, which fail. */
  close(): void;
}

/** Clients send the parts of an upload to a node, which writes them. */
export interface NodeUploads {
  readonly receiver: 'NODE';
  /**
   * Writes a part of `upload` at its offset. The part is durable when the promise resolves.
   * @throws {WrongLength} if the source has another length; the part has to be written again then.
   * @throws {Interrupted} if the source fails before its end, such as a request whose connection is cut.
   */
  writePart(key: string, part: Part, source: Readable): Promise<void>;
}

/** Clients send the parts of an upload to the store. */
export interface DirectUploads {
  readonly receiver: 'STORE';
  /** The minimum size of all parts but the last one, in bytes. */
  readonly partBytesMin: number;
  /** Begins an upload. Returns the id with which the store identifies it. */
  begin(key: string): Promise<string>;
  /** Ends an upload with its parts. Does nothing if there is no such upload. */
  abort(key: string, uploadId: string): Promise<void>;
  /** Ends all uploads of this key with their parts. */
  abortAll(key: string): Promise<void>;
  /** The URL to which a client sends a part for some time, with these headers. It accepts exactly its number of bytes. */
  partUrl(key: string, uploadId: string, part: Part, headers: Readonly<Record<string, string>>): Promise<string>;
  /**
   * The parts that the store has received.
   * @returns undefined if there is no such upload: it was never begun, it was aborted, or it is complete.
   */
  received(key: string, uploadId: string): Promise<ReceivedPart[] | undefined>;
  /**
   * Makes the object `upload` of these parts, which have all been received. Their URLs are not valid afterwards.
   * @throws {WrongParts} if there is no such upload, or its parts have changed.
   */
  complete(key: string, uploadId: string, parts: readonly ReceivedPart[]): Promise<void>;
}

/** A part of an upload as the store has received it. */
export interface ReceivedPart {
  number: number;
  byteSize: number;
  /** Identifies its content. */
  tag: string;
}

/** A part whose length is not the announced one. */
export class WrongLength extends Error {}

/** The source of a part has failed. The first bytes of the part are durable. */
export class Interrupted extends Error {
  readonly writtenBytes: number;

  constructor(writtenBytes: number, cause: unknown) {
    super('The part has not arrived completely', { cause });
    this.writtenBytes = writtenBytes;
  }
}

/** An upload that cannot be completed with these parts. */
export class WrongParts extends Error {}

/** The time after which clients should try again, in milliseconds. */
const RETRY_AFTER_MS = 5_000;

/** The store cannot be reached or does not work. Whether the object exists is unknown. */
export class StoreUnavailable extends ChatError {
  constructor(cause: unknown) {
    super('UNAVAILABLE', 'The files of this server are not available at the moment. Try again in a moment.', {
      retryAfterMs: RETRY_AFTER_MS,
      cause,
    });
  }
}
