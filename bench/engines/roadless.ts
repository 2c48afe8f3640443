/** The engine of this repository, as a process: `roadless.ts strict|fast THREADS`. */
import { backend, init, memory } from "roadless";
import type { Work } from "../work.ts";
import { preparedOf } from "./roadless-works.ts";
import { serve } from "./serve.ts";
import type { Prepared } from "./serve.ts";

const [precision, threads] = process.argv.slice(2);
await init({ device: "cpu", precision: precision as "strict" | "fast", threads: Number(threads) });
const capabilities = backend().capabilities();

function prepare(work: Work): Prepared {
  if (capabilities.precision !== precision) throw new Error("no relaxed SIMD here");
  if (capabilities.threads !== Number(threads)) throw new Error(`no ${threads} threads here`);
  return preparedOf(work);
}

await serve({
  about: () => ({ node: process.versions.node, v8: process.versions.v8 }),
  prepare,
  wasmBytes: () => Math.max(backend().capabilities().reservedBytes, memory().peakBytes),
});
backend().close();
