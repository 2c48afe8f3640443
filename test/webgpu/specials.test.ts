/**
 * NaN and infinities on device "webgpu", whose language lets compilers assume that there are none: what the
 * reference says at every element of every record, and that they stay in their rows.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Kernel } from "../../src/backend/backend.ts";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { tensor } from "../../src/index.ts";
import { operations, runInPlace } from "../../src/op.ts";
import { normAsync } from "../../src/optim/norm.ts";
import { mixedCases, wrongMixed } from "../ops/specials-mixed.ts";
import { specialCases, wrongSpecials } from "../ops/specials.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const gpu = suite("webgpu specials");

if (unavailable !== null) gpu.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) gpu(name, run);
}

test("NaN and infinities come out as the reference says", async () => {
  const wrong: string[] = [];
  for (const { name, f } of specialCases) {
    const open = rl.scope();
    const found = await f("webgpu").data();
    const expected = f("reference").dataSync();
    open.end();
    // Denormal inputs may be taken for 0: what is at 1e-40 may be what is at 0.
    wrong.push(...wrongSpecials(name, found, expected).filter((line) => !isDenormal(line)));
  }
  assert.equal(wrong, []);
});

/** Is this the place of 1e-40, or where it meets another of the twelve values? */
function isDenormal(line: string): boolean {
  const [, name, place] = /^(.*)\[(\d+)\]/.exec(line)!;
  const binary = ["add", "sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge"].includes(name);
  const at = Number(place);
  if (name === "maximum" || name === "minimum") return false;
  return binary ? Math.floor(at / 12) === 7 || at % 12 === 7 : at === 7;
}

const values = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-30, 3e38, -3e38, 0.5, 2, -2.5, 20].map(
  Math.fround,
);
const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));

/** What records are called with beside x. */
const parameters: Readonly<Record<string, number>> = {
  slope: 0.1,
  alpha: 1.5,
  beta: 1,
  threshold: 20,
  value: 2,
  exponent: 2.5,
  base: 0.5,
  min: -1,
  max: 2,
};

/** tanhGrad squares tanh's result, which is in [-1, 1]: 3e38 overflows, but is none. */
const excused = ["tanhGrad"];

/** A record at every value, or every pair of them; null where it has none of float32. */
async function elementwise(name: string, op: Kernel): Promise<string[]> {
  const attrs = Object.fromEntries((op.params ?? []).map((param) => [param, parameters[param]]));
  const places = op.kind === "map" ? values.map((x) => [x]) : pairs;
  const inputs = places[0].map((_, k) =>
    tensor(
      places.map((place) => place[k]!),
      { device: "webgpu" },
    ),
  );
  const dtype = (op as { dtype?: (x: Tensor[], a: object) => rl.DType }).dtype?.(inputs, attrs);
  const y = rl.zeros([places.length], { device: "webgpu", dtype: dtype ?? "float32" });
  runInPlace(op, inputs, [y], attrs);
  const reference = op.reference as (...numbers: number[]) => number;
  const expected = places.map((place) => Number(reference(...place, ...Object.values(attrs))));
  const at = (line: string): string => String(places[Number(/\[(\d+)\]/.exec(line)![1])]);
  return wrongSpecials(name, await y.data(), expected).map((line) => `${line} at ${at(line)}`);
}

test("every record of elements does what the reference does", async () => {
  const wrong: string[] = [];
  let count = 0;
  for (const [name, op] of operations) {
    if (!("kind" in op) || (op.kind !== "map" && op.kind !== "zip")) continue;
    const floats = typeof op.wgsl === "string" || op.wgsl?.float32 !== undefined;
    if (!floats || name.startsWith("logical") || excused.includes(name)) continue;
    const open = rl.scope();
    wrong.push(...(await elementwise(name, op as unknown as Kernel)));
    open.end();
    count++;
  }
  assert.equal(wrong, []);
  assert.ok(count > 60, `${count} records`);
});

for (const precision of ["strict", "fast"] as const) {
  test(`what mixes elements keeps NaN and infinities where the reference has them, ${precision}`, async () => {
    await startWebGpu(precision);
    const wrong: string[] = [];
    for (const { name, f } of mixedCases) {
      const open = rl.scope();
      const found = await f("webgpu").data();
      wrong.push(...wrongMixed(name, found, f("reference").dataSync()));
      open.end();
    }
    assert.equal(wrong, []);
  });

  test(`the largest of a group is found whichever lane has it, ${precision}`, async () => {
    await startWebGpu(precision);
    for (const [first, second, expected] of [
      [7, -8, 8],
      [Infinity, 7, Infinity],
      [7, NaN, NaN],
      [-NaN, Infinity, NaN],
    ]) {
      for (const place of [0, 1, 5, 31, 32, 62, 98]) {
        const values = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i));
        values.set([first, second], place);
        const open = rl.scope();
        const found = await normAsync(tensor(values, { device: "webgpu" }), Infinity);
        open.end();
        assert.ok(Object.is(found, expected), `${first}, ${second} at ${place}: ${found}`);
      }
    }
    // None is positive; a maximum of 0 would leave no sum.
    const open = rl.scope();
    const low = tensor(
      Float32Array.from({ length: 100 }, (_, i) => -300 - i),
      { device: "webgpu" },
    );
    const found = await rl.softmax(low, 0).data();
    open.end();
    assert.ok(Math.abs(found[0] - (1 - Math.exp(-1))) < 1e-6, `${found[0]}`);
  });
}

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);

gpu.run();
