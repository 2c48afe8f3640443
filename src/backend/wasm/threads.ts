/**
 * A pool of workers that run chunks of one kernel call at a time while the caller takes part and
 * waits: calls stay synchronous.
 *
 * All parties share a block of control words and the description of the current job. The word
 * TICKET packs `chunks << 16 | next`; who adds 1 to it and finds next < chunks has claimed that chunk.
 *
 * - The caller writes the job, then stores TICKET. A valid claim is therefore always one on the
 *   job that is described: until the claimed chunk is reported in DONE, the caller does not return
 *   and nothing is overwritten. A late worker finds an exhausted ticket and has read nothing.
 *   (Workers look before they add, so `next` overshoots by at most one per thread.)
 * - DONE counts the chunks that workers have finished. The caller spins for a while, then writes
 *   how many it waits for into AWAITED and sleeps on DONE, unless DONE has changed meanwhile;
 *   a worker counts first and looks at AWAITED afterwards. All these accesses are sequentially
 *   consistent: either the worker sees AWAITED and wakes the caller, or the caller sees the new DONE.
 * - Idle workers spin, then sleep: (1) read SIGNAL, (2) add 1 to SLEEPERS, (3) look at TICKET once
 *   more, (4) wait on SIGNAL unless it has changed since (1). The caller stores TICKET, then reads
 *   SLEEPERS: if it does not count the worker, (2) and (3) come later and the worker sees the
 *   ticket; if it does, the caller changes SIGNAL, so the worker is woken, or does not sleep at (4).
 *   Nothing depends on a worker coming: the caller works off whatever is not claimed.
 * - A chunk that throws writes its message into the text block (the first one that sets FAILED)
 *   and is counted as done. A worker that dies with a claim is noticed by DONE standing still.
 */
import { log } from "../../debug.ts";
import { BackendError } from "../../errors.ts";
import type { KernelFunction, Kernels } from "./module.ts";

// Indices of Int32 words, each on a cache line of its own.
const TICKET = 0;
const DONE = 16;
const AWAITED = 32;
const SIGNAL = 48;
const SLEEPERS = 64;
const READY = 80;
const FAILED = 96;
const STOP = 112;
/** Float64s: kernel, grain, total, number of arguments, arguments. */
const jobOffset = 512;
const maximumArguments = 32;
/** Uint16s: length, characters. */
const textOffset = 1024;
const textLength = 255;
const controlBytes = 2048;

const maximumChunks = 1024;
/**
 * Milliseconds. Waking a sleeper takes 30 to 50 µs, a spinning one is there at once; but where
 * other programs need the cores, a spinning worker may be what keeps the caller from its core.
 * So workers spin for longer while work comes soon, and for less while it does not.
 */
const longestSpin = 0.15;
const shortestSpin = 0.01;
const callerSpin = 0.1;
/** How often the caller looks for progress before it gives up. */
const looks = 30;

/** What a worker runs. Self-contained: it travels as text, whatever bundler came along. */
const workerSource = `"use strict";
const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
const main = ({ module, memory, control: block, scratch }) => {
  const control = new Int32Array(block);
  const job = new Float64Array(block, ${jobOffset}, ${4 + maximumArguments});
  const text = new Uint16Array(block, ${textOffset}, ${1 + textLength});
  const pause = Atomics.pause ?? (() => {});
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.set_scratch?.(scratch);
  const kernels = Object.values(exports).filter((value) => typeof value === "function");

  const work = () => {
    for (;;) {
      let ticket = Atomics.load(control, ${TICKET});
      if ((ticket & 0xffff) >= ticket >> 16) return;
      ticket = Atomics.add(control, ${TICKET}, 1);
      const chunk = ticket & 0xffff;
      if (chunk >= ticket >> 16) return;
      try {
        const grain = job[1];
        const n = job[3];
        const args = [];
        for (let i = 0; i < n; i++) args.push(job[4 + i]);
        args.push(chunk * grain, Math.min(chunk * grain + grain, job[2]));
        kernels[job[0]].apply(null, args);
      } catch (error) {
        if (Atomics.compareExchange(control, ${FAILED}, 0, 1) === 0) {
          const message = String(error).slice(0, ${textLength});
          text[0] = message.length;
          for (let i = 0; i < message.length; i++) text[1 + i] = message.charCodeAt(i);
        }
      }
      const done = Atomics.add(control, ${DONE}, 1) + 1;
      if (Atomics.load(control, ${AWAITED}) === done) Atomics.notify(control, ${DONE});
    }
  };
  const hasWork = () => {
    const ticket = Atomics.load(control, ${TICKET});
    return (ticket & 0xffff) < ticket >> 16;
  };

  Atomics.add(control, ${READY}, 1);
  let spin = ${longestSpin};
  while (Atomics.load(control, ${STOP}) === 0) {
    work();
    const idleFrom = performance.now();
    let now = idleFrom;
    let found = false;
    while (!found && now < idleFrom + spin) {
      for (let i = 0; i < 64 && !(found = hasWork()); i++) pause();
      now = performance.now();
    }
    if (!found) {
      const signal = Atomics.load(control, ${SIGNAL});
      Atomics.add(control, ${SLEEPERS}, 1);
      if (!hasWork() && Atomics.load(control, ${STOP}) === 0) {
        Atomics.wait(control, ${SIGNAL}, signal);
      }
      Atomics.sub(control, ${SLEEPERS}, 1);
      now = performance.now();
    }
    spin = now - idleFrom < ${longestSpin}
      ? Math.min(2 * spin, ${longestSpin})
      : Math.max(spin / 2, ${shortestSpin});
  }
  if (!threads) close();
};
if (threads) main(threads.workerData);
else onmessage = (event) => main(event.data);
`;

export class Pool {
  /** Threads that share the work, the calling one included. */
  readonly threads: number;
  readonly #kernels: Kernels;
  readonly #ids = new Map<string, number>();
  readonly #scratch: readonly number[];
  readonly #words = new SharedArrayBuffer(controlBytes);
  readonly #control = new Int32Array(this.#words);
  readonly #job = new Float64Array(this.#words, jobOffset, 4 + maximumArguments);
  readonly #text = new Uint16Array(this.#words, textOffset, 1 + textLength);
  readonly #maySleep: boolean = maySleep();
  /** Milliseconds between two looks. */
  readonly #slice: number;
  #state: "unused" | "started" | "closed" = "unused";
  #stop: (() => void)[] = [];

  /**
   * `scratch` holds the address of each worker's scratch region; it decides how many there are.
   * After `patience` milliseconds without progress a worker counts as dead.
   */
  constructor(kernels: Kernels, scratch: readonly number[], patience: number = 30_000) {
    this.#slice = patience / looks;
    this.#kernels = kernels;
    this.#scratch = scratch;
    this.threads = scratch.length + 1;
    for (const name of kernels.functions.keys()) this.#ids.set(name, this.#ids.size);
  }

  /** Workers that have come up so far. */
  get ready(): number {
    return this.#state === "started" ? Atomics.load(this.#control, READY) : 0;
  }

  /** Runs `kernel(...args, begin, end)` for all chunks of [0, total); `total` exceeds `grain`. */
  run(
    name: string,
    kernel: KernelFunction,
    total: number,
    grain: number,
    args: readonly number[],
  ): void {
    if (this.#state === "unused") this.#start();
    const ready = this.ready;
    if (ready === 0) {
      invoke(kernel, args, 0, total);
      return;
    }
    if (args.length > maximumArguments) {
      throw new BackendError(
        `cpu: kernel ${name} takes ${args.length} arguments (expected at most ${maximumArguments})`,
      );
    }
    const control = this.#control;
    const step = Math.max(grain, Math.ceil(total / maximumChunks));
    const chunks = Math.ceil(total / step);
    const job = this.#job;
    job[0] = this.#ids.get(name)!;
    job[1] = step;
    job[2] = total;
    job[3] = args.length;
    for (let i = 0; i < args.length; i++) job[4 + i] = args[i];
    Atomics.store(control, DONE, 0);
    Atomics.store(control, TICKET, chunks << 16);
    this.#wake(chunks, ready);

    let own = 0;
    let claimed = chunks;
    let failure: unknown;
    try {
      for (;;) {
        const chunk = Atomics.add(control, TICKET, 1) & 0xffff;
        if (chunk >= chunks) break;
        own++;
        invoke(kernel, args, chunk * step, Math.min(chunk * step + step, total));
      }
    } catch (error) {
      failure = error;
      // Nobody needs the rest; what workers have claimed must still be waited for.
      const ticket = Atomics.exchange(control, TICKET, (chunks << 16) | chunks);
      claimed = Math.min(ticket & 0xffff, chunks);
    }
    this.#join(name, claimed - own);
    if (Atomics.load(control, FAILED) !== 0) {
      const inWorker = this.#takeMessage();
      failure ??= inWorker;
    }
    if (failure !== undefined) throw failure;
  }

  close(): void {
    this.#state = "closed";
    Atomics.store(this.#control, STOP, 1);
    Atomics.add(this.#control, SIGNAL, 1);
    Atomics.notify(this.#control, SIGNAL);
    for (const stop of this.#stop) stop();
    this.#stop = [];
  }

  /** Wakes as many sleepers as the job can use beyond the workers that are awake. */
  #wake(chunks: number, ready: number): void {
    const sleepers = Atomics.load(this.#control, SLEEPERS);
    if (sleepers === 0) return;
    const wanted = Math.min(chunks - 1, ready) - (ready - sleepers);
    if (wanted <= 0) return;
    Atomics.add(this.#control, SIGNAL, 1);
    Atomics.notify(this.#control, SIGNAL, wanted);
  }

  /** Returns when workers have finished `expected` chunks. */
  #join(name: string, expected: number): void {
    const control = this.#control;
    if (Atomics.load(control, DONE) === expected) return;
    let from = performance.now();
    const spinUntil = from + callerSpin;
    let idle = 0;
    let seen = 0;
    for (;;) {
      for (let i = 0; i < 64; i++) if (Atomics.load(control, DONE) === expected) return;
      const now = performance.now();
      if (now < spinUntil) continue;
      if (this.#maySleep) this.#sleep(expected);
      else if (now - from < this.#slice) continue;
      const done = Atomics.load(control, DONE);
      if (done === expected) return;
      // Time slices that passed, not the clock: a process that was stopped is not a dead worker.
      idle = done === seen ? idle + 1 : 0;
      seen = done;
      from = now;
      if (idle >= looks) {
        this.close();
        throw new BackendError(
          `cpu: kernel ${name}: no progress in ${(looks * this.#slice) / 1000} s, a worker thread ` +
            "has died or hangs; its results are not valid, later calls use one thread",
        );
      }
    }
  }

  #sleep(expected: number): void {
    const control = this.#control;
    Atomics.store(control, AWAITED, expected);
    const done = Atomics.load(control, DONE);
    if (done !== expected) Atomics.wait(control, DONE, done, this.#slice);
    Atomics.store(control, AWAITED, 0);
  }

  #takeMessage(): Error {
    Atomics.store(this.#control, FAILED, 0);
    const message = String.fromCharCode(...this.#text.subarray(1, 1 + this.#text[0]));
    return new WebAssembly.RuntimeError(`in a worker thread: ${message}`);
  }

  #start(): void {
    this.#state = "started";
    const { module, memory } = this.#kernels;
    try {
      for (const scratch of this.#scratch) {
        const data = { module, memory, control: this.#words, scratch };
        this.#stop.push(startWorker(data, (reason) => this.#lost(reason)));
      }
    } catch (error) {
      log(1, `cpu: no worker threads (${String(error)}): one thread`);
      this.close();
    }
  }

  /** A worker ended by itself. What it had claimed shows in `#join`; the others go on. */
  #lost(reason: string): void {
    if (this.#state === "started") log(1, `cpu: a worker thread has ended: ${reason}`);
  }
}

/** Starts one worker that does not keep the process alive; returns what ends it. */
function startWorker(data: object, lost: (reason: string) => void): () => void {
  const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (node !== undefined) {
    // workerData arrives without the calling thread's event loop; execArgv: no loaders, no hooks.
    const worker = new node.Worker(workerSource, { eval: true, workerData: data, execArgv: [] });
    worker.unref();
    worker.on("error", (error) => lost(String(error)));
    worker.on("exit", (code) => lost(`exit code ${code}`));
    return () => void worker.terminate();
  }
  const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.onerror = (event) => lost(event.message);
  worker.postMessage(data);
  return () => {
    worker.terminate();
    URL.revokeObjectURL(url);
  };
}

/** Browsers forbid blocking the main thread. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * `kernel(...args, begin, end)`. Spreading takes 130 ns, which small steps would feel: those counts are
 * written out that elementwise operations, reductions and fused optimizer steps come with.
 */
export function invoke(
  kernel: KernelFunction,
  a: readonly number[],
  begin: number,
  end: number,
): void {
  switch (a.length) {
    case 1:
      kernel(a[0], begin, end);
      return;
    case 2:
      kernel(a[0], a[1], begin, end);
      return;
    case 3:
      kernel(a[0], a[1], a[2], begin, end);
      return;
    case 4:
      kernel(a[0], a[1], a[2], a[3], begin, end);
      return;
    case 5:
      kernel(a[0], a[1], a[2], a[3], a[4], begin, end);
      return;
    case 6:
      kernel(a[0], a[1], a[2], a[3], a[4], a[5], begin, end);
      return;
    case 7:
      kernel(a[0], a[1], a[2], a[3], a[4], a[5], a[6], begin, end);
      return;
    case 8:
      kernel(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], begin, end);
      return;
    case 14:
      kernel(
        a[0],
        a[1],
        a[2],
        a[3],
        a[4],
        a[5],
        a[6],
        a[7],
        a[8],
        a[9],
        a[10],
        a[11],
        a[12],
        a[13],
        begin,
        end,
      );
      return;
    default:
      kernel(...a, begin, end);
  }
}
