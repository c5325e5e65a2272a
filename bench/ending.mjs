const endings = [];
let ended;

/** Has `undo` called when the run ends, however it ends: what was made last goes first. */
export function atEnd(undo) {
  endings.push(undo);
}

/** Whether the run is being ended: what breaks now was broken on purpose. */
export const isEnding = () => ended !== undefined;

/** Undoes everything; once, whoever asks. */
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

// A second signal (npm passes on what the terminal has sent already) must not cut the cleaning up short.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => void endAll().finally(() => process.exit(130)));
}
for (const mistake of ['uncaughtException', 'unhandledRejection']) {
  process.on(mistake, (error) => {
    if (!isEnding()) console.error(error);
    void endAll().finally(() => process.exit(1));
  });
}
// Who reads the output may go (`| head`).
process.stdout.on('error', () => void endAll().finally(() => process.exit(1)));
