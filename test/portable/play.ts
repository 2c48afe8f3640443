/**
 * Plays test files in a page or another runtime, and hands the outcome over: a page posts it to /report
 * (browser.ts), elsewhere it is printed (runtime.ts).
 */
import type { Batch, Collected } from "../harness.ts";
import type { Outcome, Report } from "./report.ts";

globalThis.UVU_DEFER = 1; // before uvu loads
globalThis.UVU_QUEUE = [[]];
const harness = await import("../harness.ts");

/** Play only files whose path contains this; bundleSuites sets it. */
declare const ONLY: string;

export type TestFiles = Readonly<Record<string, () => Promise<unknown>>>;

/** Plays the files in order; `start` gets the device ready and says in words what it is. */
export async function playFiles(files: TestFiles, start: () => Promise<string>): Promise<void> {
  const outcome: Outcome = await collect(files, start).catch((error: unknown) => ({
    broken: describe(error),
  }));
  if (typeof document !== "undefined") {
    await fetch("/report", { method: "POST", body: JSON.stringify(outcome) });
  } else {
    console.log(`REPORT ${JSON.stringify(outcome)}`);
  }
}

async function collect(files: TestFiles, start: () => Promise<string>): Promise<Report> {
  const report: Report = {
    isolated: globalThis.crossOriginIsolated,
    device: await start(),
    passed: 0,
    suites: [],
    skipped: [],
    failures: [],
  };
  for (const [file, load] of Object.entries(files)) {
    if (!file.includes(ONLY)) continue;
    const collected: Collected = await harness.collect(load, () => true);
    if (collected.batches.length === 0) report.failures.push(`${file}: declares no test`);
    for (const name of collected.forgotten) report.failures.push(`${file}: ${name} forgot .run()`);
    for (const batch of collected.batches) await run(file, batch, report);
  }
  return report;
}

async function run(file: string, batch: Batch, report: Report): Promise<void> {
  const begin = performance.now();
  await batch.start();
  const passed = batch.planned.filter((test) => test.state === "passed").length;
  const time = `${(performance.now() - begin).toFixed(0)} ms`;
  report.passed += passed;
  report.suites.push(`${file}: ${batch.suite}  ${passed} passed  ${time}`);
  for (const { name, reason } of batch.skipped) report.skipped.push(`${file} ${name} (${reason})`);
  for (const { name, error } of batch.failures) {
    report.failures.push(`${file}: ${batch.suite} › ${name}: ${describe(error)}`);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { details } = error as Error & { details?: string };
  return `${error.name}: ${error.message}\n${details ?? ""}\n${error.stack ?? ""}`;
}
