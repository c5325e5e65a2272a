/** Whether a server that a node depends on can be used, as its last request has shown. */
export interface Availability {
  readonly isAvailable: boolean;
  /** Reports a request that has succeeded. */
  succeeded(): void;
  /** Reports a request that has failed because of the server. */
  failed(error: unknown): void;
}

/**
 * @param onLost is called when the server can no longer be used.
 * @param onRegained is called when it can be used again.
 */
export function createAvailability({
  onLost,
  onRegained,
}: {
  onLost(error: unknown): void;
  onRegained(): void;
}): Availability {
  let isAvailable = true;
  return {
    get isAvailable() {
      return isAvailable;
    },
    succeeded() {
      if (!isAvailable) onRegained();
      isAvailable = true;
    },
    failed(error) {
      if (isAvailable) onLost(error);
      isAvailable = false;
    },
  };
}
