/**
 * The process behind an engine: reads a request per line, answers each with a line that begins with "@". Every
 * engine has a process of its own, so engines can be alternated whatever threads and settings they hold, memory
 * is an engine's own, and one that dies takes nothing with it.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import Benchmark from "benchmark";
import type { Work } from "../work.ts";

export interface Prepared {
  run(): void;
  release?(): void;
  /** What was chosen for this work, if anything was. */
  settings?: string;
}

export interface Server {
  /** Names and versions. */
  about(): Record<string, string>;
  /** Throws an error that says why, if it cannot. */
  prepare(work: Work): Prepared | Promise<Prepared>;
  /** Bytes of WebAssembly memory, where that can be known. */
  wasmBytes?(): number;
}

export type Request =
  | { op: "about" }
  | { op: "prepare"; work: Work; warm: boolean }
  | { op: "run"; seconds: number }
  | { op: "calls"; until: number[] }
  | { op: "memory" }
  | { op: "release" };

/** Seconds of calls before any is counted: compilers need less when nothing else runs. */
const warmUp = 0.1;
/** A first call that takes so many seconds is not repeated to see how much of it was compiling. */
const patience = 5;

export async function serve(server: Server): Promise<void> {
  let prepared: Prepared | undefined;
  /** Seconds that a call takes, and how many were in a sample of the last turn. */
  let call = 0;
  let count = 1;

  const answers = {
    about: () => server.about(),
    async prepare({ work, warm }: { work: Work; warm: boolean }) {
      prepared = await server.prepare(work);
      call = warm ? warmed(prepared.run) : 0;
      count = 1;
      return { call, settings: prepared.settings };
    },
    run({ seconds }: { seconds: number }) {
      const { run } = prepared!;
      if (call > 0.1) return { samples: slow(run, seconds) };
      const result = sample(run, seconds, count);
      count = result.count;
      return { samples: result.samples };
    },
    /** Seconds after so many calls; the first calls there are, if prepared cold. */
    calls({ until }: { until: number[] }) {
      const start = performance.now();
      let done = 0;
      const after = until.map((calls) => {
        for (; done < calls; done++) prepared!.run();
        return (performance.now() - start) / 1e3;
      });
      return { after };
    },
    memory: () => ({
      rss: process.memoryUsage.rss(),
      peakRss: process.resourceUsage().maxRSS * 1024,
      wasm: server.wasmBytes?.(),
    }),
    release() {
      prepared?.release?.();
      prepared = undefined;
      return {};
    },
  };

  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    try {
      // The operation chooses the answer; each takes its own request.
      const answer = answers[request.op] as (request: Request) => object | Promise<object>;
      reply(await answer(request));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      reply({ cannot: text.split("\n")[0] });
    }
  }
}

function reply(value: object): void {
  process.stdout.write(`@${JSON.stringify(value)}\n`);
}

function elapsed(run: () => void): number {
  const start = performance.now();
  run();
  return (performance.now() - start) / 1e3;
}

/** Seconds of the last call of the warming up. */
function warmed(run: () => void): number {
  const first = elapsed(run);
  return first < patience ? slow(run, warmUp).at(-1)! : first;
}

/** benchmark.js would call it twice before it measures: too dear for what takes a tenth of a second or more. */
function slow(run: () => void, seconds: number): number[] {
  const samples: number[] = [];
  let sum = 0;
  do {
    samples.push(elapsed(run));
    sum += samples.at(-1)!;
  } while (sum < seconds);
  return samples;
}

/** Seconds per call, each a mean over so many calls that the clock's resolution does not matter. */
function sample(
  run: () => void,
  seconds: number,
  initCount: number,
): { samples: number[]; count: number } {
  const options = { initCount, minSamples: 1, minTime: seconds / 8, maxTime: seconds };
  const benchmark = new Benchmark(run, options);
  benchmark.run({ async: false });
  const { error } = benchmark as unknown as { error?: Error };
  if (error !== undefined) throw error;
  return { samples: benchmark.stats.sample, count: Math.max(1, benchmark.count) };
}
