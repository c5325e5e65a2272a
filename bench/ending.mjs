const endings = [];
let ended;

/** Registers a cleanup that runs when the process ends for any reason. Cleanups run in reverse order. */
export function atEnd(undo) {
  endings.push(undo);
}

/** Whether the run is ending, so that failures are expected. */
export const isEnding = () => ended !== undefined;

/** Runs all cleanups once. */
export function endAll() {
  ended ??= (async () => {
    for (const undo of endings.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        console.error(`bench: not cleaned up: ${error.message}`);
      }
    }
  })();
  return ended;
}

// A second signal must not interrupt the cleanup; npm forwards signals that the terminal has already sent.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => void endAll().finally(() => process.exit(130)));
}
for (const mistake of ['uncaughtException', 'unhandledRejection']) {
  process.on(mistake, (error) => {
    if (!isEnding()) console.error(error);
    void endAll().finally(() => process.exit(1));
  });
}
// The reader of the output can disappear (`| head`).
process.stdout.on('error', () => void endAll().finally(() => process.exit(1)));
