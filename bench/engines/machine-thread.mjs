// A thread of machine.ts: sleeps until a round starts, does its part, counts itself when it is done.
import { workerData } from "node:worker_threads";

const { module, words, kind, count } = workerData;
const [started, done] = [0, 1];
const { exports } = new WebAssembly.Instance(module, { env: { abort() {} } });
const run = kind === "peak" ? () => exports.peak_f32(count, 0.999, 0.001) : triad();

finish();
for (let round = 0; ; round++) {
  Atomics.wait(words, started, round);
  run();
  finish();
}

function finish() {
  Atomics.add(words, done, 1);
  Atomics.notify(words, done);
}

/** y = a + s·b over arrays of `count` elements that are this thread's own. */
function triad() {
  const { memory, triad_f32 } = exports;
  const bytes = 4 * count;
  const y = memory.buffer.byteLength;
  memory.grow((3 * bytes) / 65536);
  new Float32Array(memory.buffer, y).fill(1);
  return () => triad_f32(y, y + bytes, y + 2 * bytes, 0.5, count);
}
