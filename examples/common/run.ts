/** The frame around every example: its command line, its errors, and what it leaves behind. */
import { backend, memory, type nn, RoadlessError } from "roadless";
import { type Asked, UsageError } from "./options.ts";
import { endProgress, formatCount, formatTime, print } from "./progress.ts";

/**
 * Reads the command line and runs `main`. Ends with a line about time and memory; all that main made it
 * should have disposed of.
 */
export function runExample<S extends object>(
  name: string,
  readSettings: (args: string[]) => Asked<S>,
  main: (settings: S) => Promise<void> | void,
): Promise<void> {
  return runCommand(name, readSettings, async (settings) => {
    const started = performance.now();
    await main(settings);
    const seconds = (performance.now() - started) / 1000;
    const { bytes, peakBytes } = memory();
    const left = bytes === 0 ? "all of it released" : `${bytes} bytes of it not released`;
    print(`${formatTime(seconds)} in all; ${formatSize(peakBytes)} of tensors at most, ${left}`);
  });
}

/** Exit codes: 2 for what the command line should say differently, 1 for errors. */
export async function runCommand<S extends object>(
  name: string,
  readSettings: (args: string[]) => Asked<S>,
  main: (settings: S) => Promise<void> | void,
): Promise<void> {
  try {
    const asked = readSettings(process.argv.slice(2));
    if ("help" in asked) print(asked.help);
    else await main(asked);
  } catch (error) {
    endProgress();
    // Where the message says all, a stack trace is in the way.
    if (!(error instanceof UsageError || error instanceof RoadlessError)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** 52_400 → "52 kB" */
export function formatSize(bytes: number): string {
  const [unit, name] = bytes < 1e6 ? [1e3, "kB"] : [1e6, "MB"];
  return `${(bytes / unit).toLocaleString("en-US", { maximumFractionDigits: bytes < 1e6 ? 0 : 1 })} ${name}`;
}

/** "cpu, 2 threads, strict", or "webgpu, GeForce RTX 4070, strict" */
export function describeDevice(): string {
  const { adapter, device, threads, precision } = backend().capabilities();
  return `${device}, ${adapter ?? `${threads} thread${threads === 1 ? "" : "s"}`}, ${precision}`;
}

/** "1,199,882 parameters" */
export function describeSize(model: nn.Module): string {
  return `${formatCount(model.parameters().reduce((n, { size }) => n + size, 0))} parameters`;
}

/** Throws UsageError once the loss is no number any more: the learning rate was too large. */
export function checkLoss(loss: number, steps: number, lr: number): void {
  if (Number.isFinite(loss)) return;
  throw new UsageError(
    `--lr is ${lr}, and the loss was ${loss} after ${steps} steps; ` +
      "expected a smaller learning rate",
  );
}
