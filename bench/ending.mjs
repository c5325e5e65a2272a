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

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => void endAll().finally(() => process.exit(130)));
}
