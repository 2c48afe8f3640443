/** The machine itself: arithmetic in registers and STREAM's triad (assembly/peak.ts), on one thread or several. */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { main as asc } from "assemblyscript/asc";
import type { Work } from "../work.ts";
import { serve } from "./serve.ts";
import type { Prepared } from "./serve.ts";

/** Words that threads share: rounds started, threads done. */
const started = 0;
const done = 1;

/** All work is done by threads of their own (machine-thread.mjs), this one hands out rounds. */
async function prepare(work: Work): Promise<Prepared> {
  if (work.kind !== "peak" && work.kind !== "triad") throw new Error(`no ${work.kind}`);
  const { kind, count, threads } = work;
  const module = await compile(kind === "peak" && work.fused);
  const words = new Int32Array(new SharedArrayBuffer(8));
  let failure: unknown;
  const workers = Array.from({ length: threads }, () => {
    const workerData = { module, words, kind, count };
    const file = new URL("machine-thread.mjs", import.meta.url);
    return new Worker(file, { workerData, execArgv: [] }).on("error", (e) => (failure = e));
  });
  while (Atomics.load(words, done) < threads && failure === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (failure !== undefined) throw failure;
  return {
    run() {
      Atomics.store(words, done, 0);
      Atomics.add(words, started, 1);
      Atomics.notify(words, started);
      for (let n; (n = Atomics.load(words, done)) < threads;) Atomics.wait(words, done, n);
    },
    release: () => workers.forEach((worker) => void worker.terminate()),
  };
}

/** With fused multiply-add or without. */
async function compile(fused: boolean): Promise<WebAssembly.Module> {
  let binary: Uint8Array | undefined;
  const options = ["-O3", "--runtime", "stub", "--noAssert", "--enable", "simd"];
  if (fused) options.push("--enable", "relaxed-simd");
  const { error, stderr } = await asc(["assembly/peak.ts", "--outFile", "peak.wasm", ...options], {
    // Without asconfig.json, which is made for the kernels of the library.
    readFile: (name: string, folder: string) =>
      name.endsWith(".ts") ? read(`${folder}/${name}`) : null,
    writeFile: (_name: string, content: string | Uint8Array) => {
      if (typeof content !== "string") binary = content;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined) throw new Error(`asc: ${error?.message} ${stderr}`);
  if (!WebAssembly.validate(binary as BufferSource)) throw new Error("no relaxed SIMD here");
  return new WebAssembly.Module(binary as BufferSource);
}

function read(name: string): string | null {
  try {
    return readFileSync(name, "utf8");
  } catch {
    return null; // asc tries several names
  }
}

await serve({ about: () => ({}), prepare });
