/** Ctrl-C: the first one asks the program to finish early, the next one ends it at once. */
import { setImmediate } from "node:timers/promises";

/**
 * With npm in between, one key press arrives twice: from the terminal, which signals every process
 * that runs in it, and from npm, which passes its own signal on.
 */
const sameKeyPressMs = 200;

/** Starts listening. The signal is aborted by the first Ctrl-C; the second exits with code 130. */
export function listenForCtrlC(): AbortSignal {
  const controller = new AbortController();
  let firstAt = 0;
  process.on("SIGINT", () => {
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort();
    } else if (performance.now() - firstAt > sameKeyPressMs) {
      process.exit(130);
    }
  });
  return controller.signal;
}

let rested = 0;

/**
 * Training never waits for anything, so signals and timers would never get a turn: this lets them
 * in, every 50 ms at most. Scopes may stay open meanwhile as long as nothing else opens one.
 */
export async function breathe(): Promise<void> {
  if (performance.now() - rested < 50) return;
  await setImmediate();
  rested = performance.now();
}
