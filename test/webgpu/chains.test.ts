/** Calls that programs fuse on device "webgpu": the bits of the calls one by one, in fewer dispatches. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { accumulate, copy, fill } from "../../src/autograd.ts";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { compile, scope, tensor } from "../../src/index.ts";
import { runInPlace } from "../../src/op.ts";
import { currentDevice, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const chains = suite("webgpu chains");
const on = { device: "webgpu" } as const;

if (unavailable !== null) chains.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) chains(name, run);
}

const dispatches = (): number =>
  (rl.backend("webgpu") as unknown as { stats(): { dispatches: number } }).stats().dispatches;

type Step = (...args: Tensor[]) => Tensor[];

/** What a step returns, and how many dispatches it takes: one by one, and compiled, in its second replay. */
async function both(step: Step, args: readonly Tensor[], reset = (): void => {}) {
  const run = async (fn: Step): Promise<{ values: number[][]; count: number }> => {
    reset();
    const before = dispatches();
    const made = fn(...args);
    const count = dispatches() - before;
    const values: number[][] = [];
    for (const y of made) values.push(Array.from(await y.data()));
    return { values, count };
  };
  const open = scope();
  const expected = await run(step);
  const compiled = compile(step);
  for (let i = 0; i < 2; i++) await run(compiled);
  const found = await run(compiled);
  compiled.dispose();
  open.end();
  // Arguments and results are copied.
  const count = found.count - args.length - found.values.length;
  return { expected: expected.values, found: found.values, count, eager: expected.count };
}

/** Numbers between 0 and 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

const specials = [NaN, Infinity, -Infinity, 0, -0, 1e-38, 3e38];

const unary: ((x: Tensor) => Tensor)[] = [
  rl.neg,
  rl.abs,
  rl.exp,
  rl.tanh,
  rl.sqrt,
  rl.square,
  (x) => rl.mul(x, 0.7),
  (x) => rl.clamp(x, { min: -1, max: 1 }),
  (x) => rl.cast(rl.cast(x, "int32"), "float32"),
  (x) => rl.sub(x, x),
];
const binary: ((a: Tensor, b: Tensor) => Tensor)[] = [
  rl.add,
  rl.sub,
  rl.mul,
  rl.div,
  rl.maximum,
  (a, b) => rl.where(rl.gt(a, b), a, b),
  (a, b) => rl.sub(rl.add(a, b), b),
];

/**
 * A random step over tensors [rows, columns]: elements, broadcasts, transposed views and windows, numbers of no
 * dimensions, sums in between, writes in place (also to what stays from call to call), temporaries that end early.
 */
function randomStep(seed: number, rows: number, columns: number, state: Tensor): Step {
  return (x, y, row, column, number) => {
    const random = randomFrom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
    const full: Tensor[] = [x, y, state];
    const small: Tensor[] = [number];
    const own: Tensor[] = [];
    /** Ends one of the step's own temporaries early, so that its memory is taken again. */
    const endOne = (): void => {
      if (own.length < 4) return;
      const [gone] = own.splice(Math.floor(random() * own.length), 1);
      full.splice(full.indexOf(gone), 1);
      gone.dispose();
    };
    const made = (z: Tensor): void => {
      full.push(z);
      own.push(z);
    };
    for (let k = 0; k < 24; k++) {
      const kind = random();
      if (kind < 0.25) made(pick(unary)(pick(full)));
      else if (kind < 0.5) made(pick(binary)(pick(full), pick(full)));
      else if (kind < 0.6) made(pick(binary)(pick(full), pick([row, column, ...small])));
      else if (kind < 0.65) {
        const turned = rl.reshape(rl.transpose(pick(full), 0, 1), [rows, columns]);
        made(rl.add(turned, pick(full)));
      } else if (kind < 0.7) {
        const window = rl.narrow(pick(full), 0, 1, 2);
        made(rl.mul(pick(full), rl.sum(window, 0)));
      } else if (kind < 0.8) small.push(pick(binary)(pick(small), pick(small)));
      else if (kind < 0.83) small.push(rl.sum(pick(full)));
      else if (kind < 0.93) {
        const target = pick([state, state, ...own]);
        const value = random();
        const width = columns / 2;
        const column = 2 * Math.floor((random() * width) / 2);
        const window = (z: Tensor): Tensor => rl.narrow(z, 1, column, width);
        if (value < 0.4) runInPlace(accumulate, [pick(full)], [target], {});
        else if (value < 0.6) runInPlace(copy, [pick(full)], [target], {});
        else if (value < 0.7) runInPlace(fill, [], [rl.narrow(target, 0, 1, 1)], { value });
        else runInPlace(copy, [window(pick(full))], [window(target)], {});
      } else endOne();
    }
    return [pick(own), own[own.length - 1], pick(small)].map((z) => rl.mul(z, 1));
  };
}

for (const [rows, columns, seeds] of [
  [4, 6, 100],
  [64, 256, 6],
]) {
  test(`random steps over [${rows}, ${columns}] give the same bits`, async () => {
    let eager = 0;
    let fused = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const open = scope();
      const random = randomFrom(1000 + seed);
      const numbers = (...shape: number[]): Tensor => {
        const size = shape.reduce((n, extent) => n * extent, 1);
        const data = Array.from({ length: size }, () =>
          random() < 0.05 ? specials[Math.floor(random() * specials.length)] : 4 * random() - 2,
        );
        return rl.reshape(tensor(data, on), shape);
      };
      const state = rl.keep(rl.zeros([rows, columns], on));
      const start = Array.from({ length: rows * columns }, () => random());
      const args = [
        numbers(rows, columns),
        numbers(rows, columns),
        numbers(columns),
        numbers(rows, 1),
        tensor(random(), on),
      ];
      const step = randomStep(seed, rows, columns, state);
      const seen: number[][] = [];
      const withState = async (): Promise<void> => void seen.push(Array.from(await state.data()));
      const result = await both(step, args, () => void state.copyFrom(start));
      await withState();
      state.copyFrom(start);
      scope(() => void step(...args));
      await withState();
      assert.equal(result.found, result.expected, `seed ${seed}`);
      assert.equal(seen[0], seen[1], `seed ${seed}: what was written in place`);
      eager += result.eager;
      fused += result.count;
      state.dispose();
      open.end();
    }
    assert.ok(fused < 0.6 * eager, `${fused} dispatches for ${eager}`);
  });
}

test("elements one after another are one dispatch, and numbers too", async () => {
  const step: Step = (x, y) => {
    const d = rl.sub(x, y);
    const loss = rl.sum(rl.sqrt(rl.add(rl.mul(d, d), 1e-6)));
    return [rl.add(rl.mul(loss, 0.5), rl.div(1, loss))];
  };
  const [x, y] = [tensor([1, 2, 3], on), tensor([3, 2, 1], on)];
  const { expected, found, count, eager } = await both(step, [x, y]);
  assert.equal(found, expected);
  assert.is(eager, 8);
  // The elements, their sum, the numbers.
  assert.is(count, 3);
});

test("nothing is written that only the chain reads, and what was kept is", async () => {
  const kept: Tensor[] = [];
  const step: Step = (x) => {
    const inner = rl.mul(x, 3);
    kept.push(rl.keep(rl.add(inner, 1)));
    return [rl.mul(kept[0], 2)];
  };
  const open = scope();
  const compiled = compile(step);
  for (const start of [1, 2, 3]) {
    const [y] = compiled(tensor([start, 10], on));
    assert.equal(Array.from(await y.data()), [6 * start + 2, 62]);
    assert.equal(Array.from(await kept[0].data()), [3 * start + 1, 31]);
  }
  kept[0].dispose();
  compiled.dispose();
  open.end();
});

test("what later parts of a step read is there", async () => {
  let seen = 0;
  const step: Step = (x) => {
    const inner = rl.mul(x, 3);
    rl.live(() => seen++);
    const outer = rl.add(inner, x);
    rl.live(() => seen++);
    return [rl.mul(outer, inner)];
  };
  const { expected, found } = await both(step, [tensor([1, -2, 5], on)]);
  assert.equal(found, expected);
  assert.is(seen, 2 * 4);
});

test("gradients of parts come together in one dispatch", async () => {
  for (const [rows, columns] of [
    [3, 8],
    [64, 256],
  ]) {
    const w = rl.keep(rl.mul(rl.ones([rows, columns], on), 0.5));
    w.requiresGrad = true;
    const optimizer = new rl.optim.SGD([w], { lr: 0.1 });
    const step: Step = (x) => {
      optimizer.zeroGrad();
      const [a, b, c, d] = rl.chunk(rl.mul(w, x), 4, 1);
      rl.sum(
        rl.add(rl.mul(rl.tanh(a), b), rl.sub(rl.exp(c), rl.transpose(d, 0, 1).mean())),
      ).backward();
      return [rl.mul(w.grad!, 1)];
    };
    const x = rl.reshape(rl.arange(rows * columns, undefined, 1, on), [rows, columns]);
    const { expected, found, count, eager } = await both(step, [rl.mul(x, 1e-3)]);
    assert.equal(found, expected);
    assert.ok(count <= eager - 14, `${count} dispatches for ${eager}`);
    optimizer.dispose();
    w.dispose();
  }
});

test("booleans and whole numbers are read and written in fours too", async () => {
  const step: Step = (x, mask, count) => {
    const bigger = rl.gt(rl.mul(x, 2), 1);
    const both = rl.logicalAnd(bigger, mask);
    return [both, rl.add(count, rl.cast(both, "int32")), rl.where(both, x, rl.neg(x))];
  };
  const x = rl.reshape(rl.arange(2 ** 14, undefined, 1, on), [64, 256]);
  const args = [rl.mul(x, 1e-4), rl.gt(rl.sin(x), 0), rl.cast(x, "int32")];
  const { expected, found, count } = await both(step, args);
  assert.equal(found, expected);
  assert.is(count, 1);
});

test("several parts of one array are written together", async () => {
  const block = rl.keep(rl.zeros([12], on));
  const step: Step = (x, y) => {
    runInPlace(copy, [rl.mul(x, 2)], [rl.narrow(block, 0, 0, 4)], {});
    runInPlace(copy, [rl.add(y, rl.narrow(block, 0, 8, 4))], [rl.narrow(block, 0, 4, 4)], {});
    return [rl.add(rl.narrow(block, 0, 0, 4), rl.narrow(block, 0, 4, 4))];
  };
  const args = [tensor([1, 2, 3, 4], on), tensor([5, 6, 7, 8], on)];
  const { expected, found, count } = await both(step, args, () => {
    block.copyFrom([0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30, 40]);
  });
  assert.equal(found, expected);
  assert.equal(Array.from(await block.data()), [2, 4, 6, 8, 15, 26, 37, 48, 10, 20, 30, 40]);
  assert.is(count, 1);
  block.dispose();
});

test("a chain has no more arrays than a dispatch may", async () => {
  const step: Step = (...args) => {
    let sum = args[0];
    for (const x of args) sum = rl.add(rl.mul(sum, 0.5), x);
    return [sum, rl.mul(args[3], args[17])];
  };
  const args = Array.from({ length: 40 }, (_, k) => tensor([k, -k, k * k], on));
  const { expected, found, count, eager } = await both(step, args);
  assert.equal(found, expected);
  const { maxStorageBuffersPerShaderStage: most } = currentDevice().limits; // 12 on SwiftShader
  assert.ok(count < eager / 4 && count >= 40 / most, `${count} dispatches for ${eager}`);
});

test("a chain has no more parameters than a dispatch may", async () => {
  const step: Step = (x) => {
    let y = x;
    for (let k = 0; k < 200; k++)
      y = rl.clamp(rl.mul(y, 1 + k / 1000), { min: -50 - k, max: 50 + k });
    return [y];
  };
  const { expected, found, count } = await both(step, [tensor([1, -1, 0.001, NaN], on)]);
  assert.equal(found, expected);
  assert.ok(count >= 9 && count <= 16, `${count} dispatches`);
});

chains.before(async () => void (await startWebGpu()));
chains.after(stopWebGpu);

chains.run();
