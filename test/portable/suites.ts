/**
 * The suites that need nothing of Node, as one module for pages and other runtimes. A page posts the
 * outcome to /report (browser.ts); elsewhere it is printed (runtime.ts).
 */
import type { Batch, Collected } from "../harness.ts";
import type { Report } from "./report.ts";

globalThis.UVU_DEFER = 1; // before uvu loads
globalThis.UVU_QUEUE = [[]];
const harness = await import("../harness.ts");
const { backend, init } = await import("../../src/index.ts");

const files: Record<string, () => Promise<unknown>> = {
  "ops/ops.test.ts": () => import("../ops/ops.test.ts"),
  "autograd.test.ts": () => import("../autograd.test.ts"),
  "compile/compile.test.ts": () => import("../compile/compile.test.ts"),
  "nn/sequence.test.ts": () => import("../nn/sequence.test.ts"),
  "ops/attention.test.ts": () => import("../ops/attention.test.ts"),
  "memory.test.ts": () => import("../memory.test.ts"),
  "errors.test.ts": () => import("../errors.test.ts"),
  "nn/module.test.ts": () => import("../nn/module.test.ts"),
  "determinism.test.ts": () => import("../determinism.test.ts"),
  "elementary/bits.test.ts": () => import("../elementary/bits.test.ts"),
  "elementary/special.test.ts": () => import("../elementary/special.test.ts"),
  "random.test.ts": () => import("../random.test.ts"),
  "optim/schedule-free.test.ts": () => import("../optim/schedule-free.test.ts"),
};

async function main(): Promise<Report> {
  await init(); // pages may not compile synchronously
  const { threads, precision } = backend().capabilities();
  const report: Report = {
    isolated: globalThis.crossOriginIsolated,
    threads,
    precision,
    passed: 0,
    skipped: [],
    failures: [],
  };
  for (const [file, load] of Object.entries(files)) {
    const collected: Collected = await harness.collect(load, () => true);
    if (collected.batches.length === 0) report.failures.push(`${file}: declares no test`);
    for (const name of collected.forgotten) report.failures.push(`${file}: ${name} forgot .run()`);
    for (const batch of collected.batches) await run(file, batch, report);
  }
  return report;
}

async function run(file: string, batch: Batch, report: Report): Promise<void> {
  await batch.start();
  report.passed += batch.planned.filter((test) => test.state === "passed").length;
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

const outcome = await main().catch((error: unknown) => ({ broken: describe(error) }));
if (typeof document !== "undefined") {
  await fetch("/report", { method: "POST", body: JSON.stringify(outcome) });
} else {
  console.log(`REPORT ${JSON.stringify(outcome)}`);
}
