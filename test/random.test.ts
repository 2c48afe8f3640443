import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RoadlessError, ShapeError, ValueError } from "../src/errors.ts";
import { randperm } from "../src/index.ts";
import {
  defaultGenerator,
  fillIntegers,
  fillNormal,
  fillUniform,
  Generator,
  manualSeed,
  permutation,
  philox4x32,
} from "../src/random.ts";

const random = suite("random");

const throws = (fn: () => unknown, message: string) => {
  assert.throws(fn, (error: unknown) => {
    assert.instance(error, ValueError);
    assert.instance(error, RoadlessError);
    assert.is((error as Error).message, message);
    return true;
  });
};

// Random123, tests/kat_vectors: "philox4x32 10".
const known: [counter: string, key: string, result: string][] = [
  [
    "00000000 00000000 00000000 00000000",
    "00000000 00000000",
    "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
  ],
  [
    "ffffffff ffffffff ffffffff ffffffff",
    "ffffffff ffffffff",
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
  ],
  [
    "243f6a88 85a308d3 13198a2e 03707344",
    "a4093822 299f31d0",
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  ],
];
const parse = (text: string) => text.split(" ").map((word) => Number.parseInt(word, 16));

for (const [counter, key, result] of known) {
  random(`Philox 4x32-10 of ${counter} is what Random123 publishes`, () => {
    const words = philox4x32(
      parse(counter) as [number, number, number, number],
      parse(key) as [number, number],
    );
    assert.equal(words, parse(result));
  });
}

random("seed and call number enter key and counter in full", () => {
  const generator = new Generator(5 * 2 ** 32 + 7);
  generator.setState({ seed: generator.seed, call: 3 * 2 ** 32 + 9 });
  const out = new Float64Array(8);
  fillUniform(out, generator);
  const words = [0, 1].flatMap((block) => philox4x32([block, 0, 9, 3], [7, 5]));
  assert.equal(
    Array.from(out),
    words.map((word) => (word >>> 8) / 2 ** 24),
  );
  assert.equal(generator.getState(), { seed: 5 * 2 ** 32 + 7, call: 3 * 2 ** 32 + 10 });
});

random("the numbers are pinned: they must never change", () => {
  const generator = new Generator(42);
  const uniform = new Float32Array(5);
  fillUniform(uniform, generator);
  const normal = new Float64Array(5);
  fillNormal(normal, generator);
  const integers = new Int32Array(5);
  fillIntegers(integers, generator, -10, 10);
  assert.equal(
    [
      [...uniform],
      [...normal],
      [...integers],
      [...permutation(8, generator)],
      generator.nextSeed(),
    ],
    [
      [
        0.6129598617553711, 0.4685865044593811, 0.07323169708251953, 0.3408614993095398,
        0.9877186417579651,
      ],
      [
        2.1276909231539225, 2.1613739234850344, -0.4082708457711592, -1.6597531147148898,
        2.0213192221045233,
      ],
      [-3, 0, -2, 3, 1],
      [0, 4, 6, 5, 2, 3, 7, 1],
      1407528394834003,
    ],
  );
});

random("a longer array begins with the numbers of a shorter one", () => {
  for (const n of [0, 1, 2, 3, 4, 5, 7, 8]) {
    for (const fill of [fillUniform, fillNormal]) {
      const long = new Float32Array(16);
      fill(long, new Generator(3));
      const short = new Float32Array(n);
      fill(short, new Generator(3));
      assert.equal(short, long.slice(0, n));
    }
    const long = new Int32Array(16);
    fillIntegers(long, new Generator(3), -(2 ** 31), 2 ** 30 + 1); // rejects often
    const short = new Int32Array(n);
    fillIntegers(short, new Generator(3), -(2 ** 31), 2 ** 30 + 1);
    assert.equal(short, long.slice(0, n));
  }
});

random("float64 arrays get the numbers of float32 arrays before rounding", () => {
  for (const fill of [fillUniform, fillNormal]) {
    const single = new Float32Array(100);
    const double = new Float64Array(100);
    fill(single, new Generator(8), 0.5, 2);
    fill(double, new Generator(8), 0.5, 2);
    assert.equal(single, new Float32Array(double));
  }
});

random("every call, whatever its length, takes one call number", () => {
  const generator = new Generator(0);
  fillUniform(new Float32Array(1000), generator);
  fillNormal(new Float32Array(0), generator);
  fillIntegers(new Int32Array(3), generator, 0, 2);
  permutation(9, generator);
  generator.nextSeed();
  assert.is(generator.nextCall(), 5);
});

random("a refused call takes no number", () => {
  const generator = new Generator(0);
  assert.throws(() => fillUniform(new Float32Array(1), generator, 1, 0));
  assert.throws(() => fillNormal(new Float32Array(1), generator, 0, -1));
  assert.throws(() => fillIntegers(new Int32Array(1), generator, 0, 0));
  assert.throws(() => permutation(-1, generator));
  assert.is(generator.nextCall(), 0);
});

random("states survive JSON and bring the numbers back", () => {
  const generator = new Generator(2 ** 53 - 1);
  permutation(3, generator);
  const state = JSON.stringify(generator.getState());
  const first = permutation(100, generator);
  const other = new Generator(0);
  other.setState(JSON.parse(state));
  assert.equal(permutation(100, other), first);
});

random("manualSeed restarts the default generator", () => {
  assert.is(manualSeed(11), defaultGenerator());
  const first = permutation(50, defaultGenerator());
  const second = permutation(50, defaultGenerator());
  assert.not.equal(first, second);
  manualSeed(11);
  assert.equal(permutation(50, defaultGenerator()), first);
  manualSeed(12);
  assert.not.equal(permutation(50, defaultGenerator()), first);
});

random("randperm holds every number once, in an order that follows from the generator", () => {
  const draw = (seed: number) => {
    const order = randperm(20, { generator: new Generator(seed) });
    assert.equal([order.shape, order.dtype], [[20], "int32"]);
    return [...order.dataSync()];
  };
  const order = draw(3);
  assert.equal(order, [...permutation(20, new Generator(3))]);
  assert.not.equal(order, draw(4));
  const sorted = order.toSorted((a, b) => a - b);
  assert.equal(sorted, [...sorted.keys()]);
  assert.equal(randperm(0).shape, [0]);
  assert.throws(
    () => randperm(-1),
    (error: unknown) => error instanceof ShapeError && error.message.startsWith("randperm: "),
  );
});

/** Mean, variance and the third and fourth standardized moments. */
function moments(values: ArrayLike<number>): number[] {
  const list = Array.from(values);
  const n = list.length;
  const mean = list.reduce((sum, v) => sum + v, 0) / n;
  const central = (k: number) => list.reduce((sum, v) => sum + (v - mean) ** k, 0) / n;
  const variance = central(2);
  return [mean, variance, central(3) / variance ** 1.5, central(4) / variance ** 2];
}

const near = (actual: number[], expected: number[], tolerance: number) => {
  actual.forEach((value, i) => {
    assert.ok(
      Math.abs(value - expected[i]) <= tolerance,
      `moment ${i + 1} is ${value}; expected ${expected[i]} ± ${tolerance}`,
    );
  });
};

const N = 400_000;

random("uniforms have the moments of the uniform distribution", () => {
  const out = new Float32Array(N);
  fillUniform(out, new Generator(1));
  near(moments(out), [1 / 2, 1 / 12, 0, 9 / 5], 0.01);
  fillUniform(out, new Generator(1), -3, 5);
  near(moments(out), [1, 64 / 12, 0, 9 / 5], 0.03);
});

random("normals have the moments and tails of the normal distribution", () => {
  const out = new Float32Array(N);
  fillNormal(out, new Generator(2));
  near(moments(out), [0, 1, 0, 3], 0.03);
  const share = (limit: number) => out.filter((z) => Math.abs(z) > limit).length / N;
  near([share(1), share(2), share(3)], [0.31731, 0.0455, 0.0027], 0.002);
  // Both members of a pair, and neighbours, are uncorrelated.
  for (const lag of [1, 2, 3, 4]) {
    let sum = 0;
    for (let i = lag; i < N; i++) sum += out[i] * out[i - lag];
    near([sum / N], [0], 0.008);
  }
  fillNormal(out, new Generator(2), 10, 0.5);
  near(moments(out), [10, 0.25, 0, 3], 0.03);
});

random("normals equal Box and Muller's formula in JavaScript's own functions", () => {
  const out = new Float64Array(40_000);
  fillNormal(out, new Generator(2 ** 40 + 1));
  for (let i = 0; i < out.length; i += 4) {
    const words = philox4x32([i / 4, 0, 0, 0], [1, 256]);
    for (const j of [0, 2]) {
      const radius = Math.sqrt(-2 * Math.log((words[j] + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * words[j + 1]) / 2 ** 32;
      assert.ok(Math.abs(out[i + j] - radius * Math.cos(angle)) < 1e-14);
      assert.ok(Math.abs(out[i + j + 1] - radius * Math.sin(angle)) < 1e-14);
    }
  }
});

random("a standard deviation of 0 gives the mean", () => {
  const out = new Float32Array(5).fill(NaN);
  fillNormal(out, new Generator(0), 1.5, 0);
  assert.equal(out, new Float32Array(5).fill(1.5));
});

random("uniforms stay below high even where rounding would reach it", () => {
  // Of 2^24 steps most round to one of the few float32 between the bounds.
  const bounds: [number, number][] = [
    [2 ** 24, 2 ** 24 + 4],
    [-(2 ** 24) - 4, -(2 ** 24)],
    [1 - 2 ** -24, 1],
    [-(2 ** -149), 0],
    [0, 2 ** -149],
    [-1, 0],
  ];
  for (const [low, high] of bounds) {
    const out = new Float32Array(10_000);
    fillUniform(out, new Generator(4), low, high);
    assert.ok(out.every((value) => value >= low && value < high));
    assert.ok(out.includes(low) || high - low === 1, `${low} does not occur`);
  }
  const out = new Float64Array(1000);
  fillUniform(out, new Generator(4), 1 - 2 ** -53, 1);
  assert.ok(out.every((value) => value === 1 - 2 ** -53));
  fillUniform(out, new Generator(4), -Number.MIN_VALUE, 0);
  assert.ok(out.every((value) => value === -Number.MIN_VALUE));
});

random("integers cover their range evenly", () => {
  for (const [low, high] of [
    [0, 1],
    [0, 7],
    [-3, 3],
    [2 ** 31 - 5, 2 ** 31],
    [-(2 ** 31), -(2 ** 31) + 3],
  ]) {
    const out = new Int32Array(70_000);
    fillIntegers(out, new Generator(6), low, high);
    const counts = Array.from({ length: high - low }, () => 0);
    for (const value of out) counts[value - low]++;
    const expected = out.length / (high - low);
    for (const count of counts) assert.ok(Math.abs(count - expected) < 6 * Math.sqrt(expected));
  }
});

random("integers of the whole range are the words; of a half they are the upper bits", () => {
  const words = philox4x32([0, 0, 0, 0], [9, 0]);
  const out = new Int32Array(4);
  fillIntegers(out, new Generator(9), -(2 ** 31), 2 ** 31);
  assert.equal(
    [...out],
    words.map((word) => word - 2 ** 31),
  );
  fillIntegers(out, new Generator(9), 0, 2 ** 31);
  assert.equal(
    [...out],
    words.map((word) => word >>> 1),
  );
});

random("rejection has no bias: a range of 3/4 of all words is even in every quarter", () => {
  const out = new Int32Array(120_000);
  fillIntegers(out, new Generator(10), -(2 ** 31), 2 ** 30);
  const counts = [0, 0, 0];
  for (const value of out) counts[Math.floor((value + 2 ** 31) / 2 ** 30)]++;
  for (const count of counts) assert.ok(Math.abs(count - 40_000) < 1000, String(counts));
});

random("permutations hold every number once", () => {
  for (const n of [0, 1, 2, 3, 4, 5, 1000]) {
    const order = permutation(n, new Generator(n));
    assert.instance(order, Int32Array);
    assert.equal(
      [...order].sort((a, b) => a - b),
      Array.from({ length: n }, (_, i) => i),
    );
  }
});

random("all permutations are equally likely", () => {
  const generator = new Generator(1);
  const counts = new Map<string, number>();
  for (let i = 0; i < 24_000; i++) {
    const key = permutation(4, generator).join("");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.is(counts.size, 24);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 170, String(count));
});

random("says what is wrong with an argument", () => {
  throws(
    () => new Generator(-1),
    "Generator: seed is -1; expected a whole number from 0 to 2^53 - 1",
  );
  throws(
    () => manualSeed(0.5),
    "manualSeed: seed is 0.5; expected a whole number from 0 to 2^53 - 1",
  );
  throws(
    () => new Generator(0).setState({ seed: 0, call: 2 ** 53 }),
    "Generator.setState: call is 9007199254740992; expected a whole number from 0 to 2^53 - 1",
  );
  for (const seed of [NaN, Infinity, 2 ** 53, "1", undefined]) {
    assert.throws(() => new Generator(seed as number), /^Generator: seed is/);
  }
  const generator = new Generator(0);
  throws(
    () => fillUniform(new Float32Array(1), generator, 1, 1 + 2 ** -30),
    "fillUniform: low is 1, high is 1.0000000009313226; expected finite bounds with low < high, also after rounding to float32",
  );
  for (const [low, high] of [
    [1, 1],
    [NaN, 1],
    [0, NaN],
    [0, Infinity],
    [-Infinity, 0],
  ]) {
    assert.throws(
      () => fillUniform(new Float64Array(1), generator, low, high),
      /^fillUniform: low/,
    );
  }
  throws(
    () => fillNormal(new Float32Array(1), generator, 0, -1),
    "fillNormal: mean is 0, std is -1; expected finite numbers, std not negative",
  );
  throws(
    () => fillIntegers(new Int32Array(1), generator, 3, 3),
    "fillIntegers: low is 3, high is 3; expected whole numbers with -2^31 <= low < high <= 2^31",
  );
  assert.throws(
    () => fillIntegers(new Int32Array(1), generator, 0, 2 ** 31 + 1),
    (error: unknown) => error instanceof ValueError,
  );
  assert.throws(
    () => fillIntegers(new Int32Array(1), generator, 0.5, 2),
    (error: unknown) => error instanceof ValueError,
  );
  throws(
    () => permutation(1.5, generator),
    "permutation: n is 1.5; expected a whole number from 0 to 2^31 - 1",
  );
});

random.run();
