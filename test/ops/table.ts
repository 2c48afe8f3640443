/**
 * One row per operation: how to call it, on which shapes and values. ops.test.ts drives every row
 * on every backend against the float64 reference and checks its gradient by central differences.
 */
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import type { ValueKind } from "./draws.ts";
import { imageRows } from "./table-image.ts";
import { indexingRows } from "./table-indexing.ts";

/** How the values of one input are drawn. */
export interface Domain {
  low?: number;
  high?: number;
  /** Kinks: values nearer than 0.05 are moved away, as difference quotients see both sides. */
  avoid?: readonly number[];
  /** Whole numbers as int32, or booleans; no gradient. */
  integers?: true;
  booleans?: true;
  /** A random order of 0, 1, 2, … (scaled down): no ties. */
  distinct?: true;
}

export interface Row {
  /** Name of the record that this row is about. */
  op: string;
  f: (...inputs: Tensor[]) => Tensor;
  /** For devices where `f` cannot read what it must. */
  later?: (...inputs: Tensor[]) => Promise<Tensor>;
  /** Each entry is one case: the shapes of all inputs. */
  shapes: readonly (readonly (readonly number[])[])[];
  /** One for every input, or one for all. Default: [-2, 2]. */
  domain?: Domain | readonly Domain[];
  /** Largest error in float32, relative to max(1, largest magnitude); default 2e-6, gradients 4e-6. */
  tolerance?: number;
  /** The result is not differentiable (comparisons, indices). */
  discrete?: true;
  /** Works elementwise, on any shape or on any two that broadcast: drawn by the property test. */
  draw?: "map" | "zip";
  /** What the property test draws values from; default every kind. */
  values?: readonly ValueKind[];
  /** Where the standard step or tolerance of the gradient check does not do. */
  gradcheck?: rl.GradcheckOptions;
}

const vectors: Row["shapes"] = [[[]], [[1]], [[0]], [[3]], [[5]], [[4, 7]], [[2, 3, 5]], [[1031]]];
const pairs: Row["shapes"] = [
  [[], []],
  [[5], [5]],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [4, 1],
    [1, 5],
  ],
  [
    [2, 3, 4, 5],
    [3, 1, 1],
  ],
  [[], [2, 3]],
  [[2, 3], []],
  [[0, 3], [3]],
  [
    [33, 17],
    [33, 17],
  ],
  [
    [3, 1, 5],
    [2, 1, 7, 1],
  ],
];
const ties: Row["shapes"] = [[[2, 3, 4]], [[7]], [[5, 9]]];

const unary = (op: string, f: (x: Tensor) => Tensor, domain: Domain = {}): Row => ({
  op,
  f,
  shapes: vectors,
  domain,
  draw: "map",
});
const binary = (
  op: string,
  f: (a: Tensor, b: Tensor) => Tensor,
  domain: Domain | readonly Domain[] = {},
): Row => ({ op, f, shapes: pairs, domain, draw: "zip" });
const compare = (op: string, f: (a: Tensor, b: Tensor) => Tensor): Row[] =>
  [{ low: -3, high: 3, integers: true } as const, { distinct: true } as const].map((domain) => ({
    ...binary(op, f, domain),
    discrete: true,
  }));

/** Quotients stay away from whole numbers, where the remainder jumps. */
const remainders = (op: string, f: (a: rl.Operand, b: rl.Operand) => Tensor): Row[] => [
  binary(op, f, [
    { low: 2.1, high: 2.9 },
    { low: 0.98, high: 1.02 },
  ]),
  binary(op, f, [
    { low: -2.9, high: -2.1 },
    { low: 0.98, high: 1.02 },
  ]),
  { ...binary(op, f, { integers: true, low: -9, high: 9 }), discrete: true },
  unary(op, (x) => f(x, 3), { low: -2.9, high: -0.1 }),
  unary(op, (x) => f(-7, x), { low: 2.6, high: 3.3 }),
];

/** A fixed distribution over the classes in every row. */
const probabilities = (x: Tensor): Tensor =>
  rl.softmax(rl.reshape(rl.arange(x.size, undefined, 1, { device: x.device }), x.shape), 1);

const positive: Domain = { low: 0.2, high: 3 };
const awayFromZero: Domain = { avoid: [0] };
const conv =
  (options: rl.ConvOptions, bias = true) =>
  (x: Tensor, weight: Tensor, b?: Tensor): Tensor =>
    rl.conv2d(x, weight, bias ? b : null, options);

/** The record that attention runs: masks that need no gradient have one of their own. */
function attentionRecord({ shapes, domain }: Omit<Row, "op">): string {
  if (shapes[0].length < 4) return "attention";
  return domain === undefined ? "scaledDotProductAttention" : "attentionMasked";
}

/** Records without a vjp, and why there is none. */
export const withoutGradient: Readonly<Record<string, string>> = {
  ...because("a gradient's own kernel, which runs in vjps alone: there are no second derivatives", [
    "reluGrad",
    "tanhGrad",
    "sigmoidGrad",
    "logSigmoidGrad",
    "siluGrad",
    "geluGrad",
    "geluTanhGrad",
    "leakyReluGrad",
    "eluGrad",
    "softplusGrad",
    "clampGrad",
    "softmaxGrad",
    "logSoftmaxGrad",
    "conv2dGradInput",
    "convTranspose2dGrad",
    "crossEntropyGrad",
    "mseGrad",
    "layerNormGrad",
    "maxPool2dGrad",
    "avgPool2dGrad",
    "rnnSequenceGrad",
    "lstmSequenceGrad",
    "gruSequenceGrad",
    "batchNormGrad",
  ]),
  batchMoments: "the gradient of batchNorm goes through the batch's moments too",
  ...because("gives booleans", ["eq", "ne", "lt", "le", "gt", "ge"]),
  ...because("booleans to booleans", ["logicalAnd", "logicalOr", "logicalNot"]),
  ...because("gives whole numbers: places", ["argmax", "argmin", "argsort"]),
};

function because(reason: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, reason]));
}

/** What the watch over gradients (gradients.ts) would report, and why it is right. */
export const excused: Readonly<Record<string, string>> = {};

export const rows: readonly Row[] = [
  binary("add", rl.add),
  binary("sub", rl.sub),
  binary("mul", rl.mul),
  binary("div", rl.div, [{}, { avoid: [0], low: 0.5, high: 3 }]),
  // Large powers overflow in float32 alone.
  { ...binary("pow", rl.pow, [positive, {}]), values: ["uniform", "ties", "special"] },
  binary("maximum", rl.maximum, { distinct: true }),
  binary("minimum", rl.minimum, { distinct: true }),
  binary("add", rl.add, { integers: true, low: -9, high: 9 }),
  ...remainders("fmod", rl.fmod),
  ...remainders("remainder", rl.remainder),
  binary("mul", rl.mul, { integers: true, low: -9, high: 9 }),
  binary("sub", rl.sub, { integers: true, low: -9, high: 9 }),
  binary("maximum", rl.maximum, { integers: true, low: -9, high: 9 }),
  ...compare("eq", rl.eq),
  ...compare("ne", rl.ne),
  ...compare("lt", rl.lt),
  ...compare("le", rl.le),
  ...compare("gt", rl.gt),
  ...compare("ge", rl.ge),
  { ...binary("eq", rl.eq, { booleans: true }), discrete: true },
  { ...binary("logicalAnd", rl.logicalAnd, { booleans: true }), discrete: true },
  { ...binary("logicalOr", rl.logicalOr, { booleans: true }), discrete: true },
  { ...unary("logicalNot", rl.logicalNot, { booleans: true }), discrete: true },

  unary("addScalar", (x) => rl.add(x, 1.7)),
  unary("mulScalar", (x) => rl.mul(x, -1.7)),
  unary("addScalar", (x) => rl.sub(x, 3), { integers: true, low: -9, high: 9 }),
  unary("mulScalar", (x) => rl.mul(x, 3), { integers: true, low: -9, high: 9 }),
  unary("rsubScalar", (x) => rl.sub(1.7, x)),
  unary("rdivScalar", (x) => rl.div(1.7, x), { low: 0.5, high: 3 }),
  unary("powScalar", (x) => rl.pow(x, 3)),
  unary("powScalar", (x) => rl.pow(x, 0.5), positive),
  unary("powScalar", (x) => rl.pow(x, -2), positive),
  unary("scalarPow", (x) => rl.pow(2.5, x)),
  unary("neg", rl.neg),
  unary("neg", rl.neg, { integers: true, low: -9, high: 9 }),
  unary("abs", rl.abs, awayFromZero),
  unary("square", rl.square),
  unary("sign", rl.sign, awayFromZero),
  unary("floor", rl.floor, { avoid: [-2, -1, 0, 1, 2] }),
  unary("ceil", rl.ceil, { avoid: [-2, -1, 0, 1, 2] }),
  unary("round", rl.round, { avoid: [-1.5, -0.5, 0.5, 1.5] }),
  unary("trunc", rl.trunc, { avoid: [-2, -1, 0, 1, 2] }),
  unary("exp", rl.exp),
  unary("expm1", rl.expm1),
  unary("log", rl.log, positive),
  unary("log1p", rl.log1p, { low: -0.7, high: 3 }),
  unary("log2", rl.log2, positive),
  unary("log10", rl.log10, positive),
  unary("sqrt", rl.sqrt, positive),
  unary("rsqrt", rl.rsqrt, positive),
  unary("reciprocal", rl.reciprocal, { low: 0.5, high: 3 }),
  unary("sin", rl.sin, { low: -20, high: 20 }),
  unary("asin", rl.asin, { low: -0.9, high: 0.9 }),
  unary("acos", rl.acos, { low: -0.9, high: 0.9 }),
  unary("atan", rl.atan, { low: -5, high: 5 }),
  binary("atan2", rl.atan2, [{ avoid: [0] }, { avoid: [0] }]),
  unary("cos", rl.cos, { low: -20, high: 20 }),
  // Where the reduction to a quarter turn needs more digits of π than a float has.
  ...[
    unary("sin", rl.sin, { low: 4000, high: 9000 }),
    unary("cos", rl.cos, { low: -9000, high: -4000 }),
    unary("tan", rl.tan, { low: 4711.2, high: 4713.5 }),
  ].map((row): Row => ({ ...row, gradcheck: { eps: 1e-4 } })),
  unary("tan", rl.tan, { low: -1.2, high: 1.2 }),
  unary("erf", rl.erf),
  unary("clamp", (x) => rl.clamp(x, { min: -1, max: 0.5 }), { avoid: [-1, 0.5] }),
  unary("clamp", (x) => rl.clamp(x, { min: 0 }), awayFromZero),
  ...[false, true].map((training): Row => ({
    op: "batchNorm",
    f: (x, weight, bias, runningMean, runningVar) =>
      training
        ? rl.batchNorm(x, { weight, bias, training })
        : rl.batchNorm(x, { weight, bias, runningMean, runningVar }),
    shapes: [
      [[4, 3], [3], [3], [3], [3]],
      [[2, 3, 5], [3], [3], [3], [3]],
      [[3, 2, 4, 5], [2], [2], [2], [2]],
      [[33, 1, 7, 1], [1], [1], [1], [1]],
      [[70, 11], [11], [11], [11], [11]],
      ...(training ? [] : [[[0, 3], [3], [3], [3], [3]]]),
    ],
    domain: [{}, {}, {}, {}, positive],
  })),
  {
    op: "batchNorm",
    f: (x, bias) => rl.batchNorm(x, { bias }),
    shapes: [
      [[4, 3], [3]],
      [[2, 3, 5], [3]],
    ],
  },
  {
    op: "batchNorm",
    f: (x, weight) => rl.batchNorm(x, { weight, training: true }),
    shapes: [[[2, 3, 5], [3]]],
  },
  {
    op: "where",
    f: rl.where,
    shapes: [
      [[4], [4], [4]],
      [[3, 1], [4], []],
      [[0, 3], [3], [1]],
      [[2, 3], [2, 1], [3]],
    ],
    domain: [{ booleans: true }, {}, {}],
  },
  {
    op: "where",
    f: (m, x) => rl.maskedFill(x, m, 7),
    shapes: [
      [[4], [4]],
      [[3], [2, 3]],
    ],
    domain: [{ booleans: true }, {}],
  },
  { op: "mul", f: (a, b) => rl.lerp(a, b, 0.3), shapes: [[[5], [5]]] },

  unary("relu", rl.relu, awayFromZero),
  unary("tanh", rl.tanh, { low: -5, high: 5 }),
  unary("sigmoid", rl.sigmoid, { low: -8, high: 8 }),
  unary("logSigmoid", rl.logSigmoid, { low: -8, high: 8 }),
  unary("silu", rl.silu, { low: -8, high: 8 }),
  unary("gelu", (x) => rl.gelu(x), { low: -5, high: 5 }),
  unary("geluTanh", (x) => rl.gelu(x, { approximate: "tanh" }), { low: -5, high: 5 }),
  unary("leakyRelu", (x) => rl.leakyRelu(x, 0.1), awayFromZero),
  unary("elu", (x) => rl.elu(x, 1.3), awayFromZero),
  unary("softplus", (x) => rl.softplus(x), { low: -8, high: 8 }),
  unary("softplus", (x) => rl.softplus(x, { beta: 2, threshold: 3 }), { avoid: [1.5] }),

  unary("sum", (x) => rl.sum(x)),
  unary("sum", (x) => rl.sum(x), { integers: true, low: -9, high: 9 }),
  { ...unary("sum", (x) => rl.sum(x), { booleans: true }), discrete: true },
  unary("mean", (x) => rl.mean(x)),
  { ...unary("mean", (x) => rl.mean(x), { booleans: true }), discrete: true },
  ...[0, 1, 2, [0, 1], [0, 2], [1, 2], [0, 1, 2], -1].flatMap((dim): Row[] => [
    { op: "sum", f: (x) => rl.sum(x, dim), shapes: [[[2, 3, 5]], [[9, 8, 17]], [[1, 40, 1]]] },
    {
      op: "mean",
      f: (x) => rl.mean(x, dim, { keepdim: true }),
      shapes: [[[2, 3, 5]], [[9, 8, 17]]],
    },
    {
      op: "amax",
      f: (x) => rl.amax(x, dim),
      shapes: [[[2, 3, 5]], [[9, 8, 17]]],
      domain: { distinct: true },
    },
    {
      op: "amin",
      f: (x) => rl.amin(x, dim),
      shapes: [[[2, 3, 5]], [[9, 8, 17]]],
      domain: { distinct: true },
    },
  ]),
  ...[rl.amax, rl.amin].map((f) => ({
    op: f.name,
    f: (x: Tensor) => f(x, 1),
    shapes: [[[0, 3]], [[2, 3, 0]]],
  })),
  ...[rl.max, rl.min].map((f) => ({
    op: f.name,
    f: (x: Tensor) => f(x, 1).values,
    shapes: [[[0, 3]], [[2, 3, 0]]],
  })),
  { op: "sum", f: (x) => rl.sum(x, 1), shapes: [[[3, 0]], [[0, 3]], [[300, 70]]] },
  { op: "sum", f: (x) => rl.sum(x, 0), shapes: [[[300, 70]], [[70_000, 2]]], tolerance: 1e-5 },
  ...[0, 1, 2, -1].flatMap((dim): Row[] => [
    {
      op: "max",
      f: (x) => rl.max(x, dim).values,
      shapes: ties.slice(0, 1),
      domain: { distinct: true },
    },
    {
      op: "min",
      f: (x) => rl.min(x, dim).values,
      shapes: ties.slice(0, 1),
      domain: { distinct: true },
    },
    {
      op: "argmax",
      f: (x) => rl.argmax(x, dim),
      shapes: ties.slice(0, 1),
      domain: { distinct: true },
      discrete: true,
    },
    {
      op: "argmin",
      f: (x) => rl.argmin(x, dim),
      shapes: ties.slice(0, 1),
      domain: { distinct: true },
      discrete: true,
    },
  ]),
  {
    op: "argmax",
    f: (x) => rl.argmax(x),
    shapes: ties,
    domain: { integers: true, low: 0, high: 3 },
    discrete: true,
  },

  {
    op: "reshape",
    f: (x) => rl.reshape(x, [3, -1]),
    shapes: [[[2, 3, 5]], [[3]], [[0, 3, 2]]].slice(0, 2),
  },
  {
    op: "reshape",
    f: (x) => rl.reshape(rl.transpose(rl.unsqueeze(x, 1), 0, 1), x.shape),
    shapes: [[[4, 3]], [[2, 3, 5]]],
  },
  { op: "reshape", f: (x) => rl.flatten(x, 1), shapes: [[[2, 3, 5]], [[0, 3, 2]]] },
  { op: "reshape", f: (x) => rl.squeeze(rl.unsqueeze(x, 0)), shapes: [[[2, 3]], [[]]] },
  { op: "permute", f: (x) => rl.permute(x, [2, 0, 1]), shapes: [[[2, 3, 5]], [[17, 33, 5]]] },
  { op: "permute", f: (x) => rl.transpose(x, 0, 1), shapes: [[[2, 3]], [[65, 130]]] },
  { op: "expand", f: (x) => rl.expand(x, [4, -1, 3]), shapes: [[[2, 1]], [[1, 2, 3]], [[0, 1]]] },
  {
    op: "slice",
    f: (x) =>
      rl.slice(x, [
        [1, null, 2],
        [-1, null, -1],
      ]),
    shapes: [[[6, 4]], [[2, 1, 3]]],
  },
  { op: "slice", f: (x) => rl.narrow(x, 1, 1, 2), shapes: [[[2, 3]], [[2, 5, 4]]] },
  {
    op: "contiguous",
    f: (x) => rl.contiguous(rl.transpose(x, 0, 1)),
    shapes: [[[2, 3]], [[40, 70]], [[3, 4, 5]]],
  },
  { op: "contiguous", f: (x) => rl.clone(x), shapes: vectors },
  {
    op: "concat",
    f: (a, b, c) => rl.concat([a, b, c], 1),
    shapes: [
      [
        [2, 1],
        [2, 3],
        [2, 2],
      ],
      [
        [2, 0, 5],
        [2, 3, 5],
        [2, 1, 5],
      ],
    ],
  },
  {
    op: "concat",
    f: (...parts) => rl.concat(parts, -1),
    shapes: [
      [[1], [2], [0], [3]],
      [
        [2, 1],
        [2, 1],
        [2, 4],
        [2, 2],
        [2, 3],
      ],
    ],
  },
  {
    op: "concat",
    f: (a, b) => rl.concat([rl.transpose(a, 0, 1), b], 0),
    shapes: [
      [
        [2, 3],
        [4, 2],
      ],
    ],
  },
  {
    op: "concat",
    f: (a, b) => rl.stack([a, b], 1),
    shapes: [
      [
        [2, 3],
        [2, 3],
      ],
    ],
  },
  {
    op: "cast",
    f: (x) => rl.cast(x, "float32"),
    shapes: [[[5]]],
    domain: { integers: true, low: -9, high: 9 },
  },
  {
    op: "cast",
    // Through float32, which holds these values and these steps exactly.
    f: (x) => rl.cast(rl.cast(x, "float32"), x.dtype),
    shapes: [[[5]], [[3, 4]], [[0]]],
    domain: { distinct: true },
    gradcheck: { eps: 2 ** -10, directions: 0 },
  },
  {
    op: "cast",
    f: (x) => rl.cast(x, "bool"),
    shapes: [[[5]]],
    domain: { integers: true, low: -1, high: 1 },
    discrete: true,
  },
  {
    op: "cast",
    f: (x) => rl.cast(x, "int32"),
    shapes: [[[37]]],
    domain: { low: -9, high: 9 },
    discrete: true,
  },

  {
    op: "matmul",
    f: rl.matmul,
    shapes: [
      [[3], [3]],
      [[2, 3], [3]],
      [[3], [3, 2]],
      [
        [1, 1],
        [1, 1],
      ],
      [
        [2, 3],
        [3, 4],
      ],
      [
        [5, 7],
        [7, 6],
      ],
      [
        [6, 8],
        [8, 8],
      ],
      [
        [13, 17],
        [17, 9],
      ],
      [
        [64, 33],
        [33, 70],
      ],
      [
        [0, 3],
        [3, 2],
      ],
      [
        [2, 0],
        [0, 3],
      ],
      [
        [2, 3, 4],
        [4, 5],
      ],
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
      [
        [2, 1, 3, 4],
        [3, 4, 2],
      ],
      [
        [3, 4],
        [2, 4, 5],
      ],
    ],
  },
  {
    op: "matmul",
    f: (a, b) => rl.matmul(rl.transpose(a, 0, 1), b),
    shapes: [
      [
        [3, 2],
        [3, 4],
      ],
      [
        [33, 65],
        [33, 20],
      ],
    ],
  },
  {
    op: "matmul",
    f: (a, b) => rl.matmul(a, rl.transpose(b, 0, 1)),
    shapes: [
      [
        [2, 3],
        [4, 3],
      ],
      [
        [65, 130],
        [20, 130],
      ],
    ],
  },
  {
    op: "matmul",
    f: (a, b) => rl.matmul(rl.transpose(a, -1, -2), rl.transpose(b, -1, -2)),
    shapes: [
      [
        [3, 2],
        [4, 3],
      ],
      [
        [33, 65],
        [20, 33],
      ],
      [
        [2, 7, 5],
        [2, 6, 7],
      ],
    ],
  },
  {
    op: "linear",
    f: (x, w, b) => rl.linear(x, w, b),
    shapes: [
      [[4, 3], [2, 3], [2]],
      [[2, 4, 3], [5, 3], [5]],
      [[3], [2, 3], [2]],
      [[64, 100], [10, 100], [10]],
      [[3, 0], [2, 0], [2]],
      [[0, 3], [2, 3], [2]],
    ],
  },
  {
    op: "linear",
    f: (x, w) => rl.linear(x, w),
    shapes: [
      [
        [4, 3],
        [2, 3],
      ],
    ],
  },
  { op: "matmul", f: rl.outer, shapes: [[[4], [3]]] },

  {
    op: "conv2d",
    f: conv({}),
    shapes: [
      [[1, 1, 5, 5], [1, 1, 3, 3], [1]],
      [[2, 3, 7, 6], [4, 3, 3, 2], [4]],
      [[2, 8, 9, 9], [16, 8, 3, 3], [16]],
      [[3, 5, 4, 4], [7, 5, 1, 1], [7]],
      [[0, 3, 7, 6], [4, 3, 3, 2], [4]],
      [[1, 2, 30, 31], [3, 2, 5, 5], [3]],
    ],
  },
  {
    op: "conv2d",
    f: conv({}, false),
    shapes: [
      [
        [2, 3, 7, 6],
        [4, 3, 3, 2],
      ],
    ],
  },
  { op: "conv2d", f: conv({ padding: [1, 2] }), shapes: [[[2, 3, 5, 6], [4, 3, 3, 3], [4]]] },
  {
    op: "conv2d",
    f: conv({ stride: 2, padding: 1 }),
    shapes: [
      [[2, 3, 7, 8], [4, 3, 3, 3], [4]],
      [[1, 1, 4, 4], [2, 1, 2, 2], [2]],
    ],
  },
  {
    op: "conv2d",
    f: conv({ stride: [1, 3], dilation: [2, 1] }),
    shapes: [[[2, 2, 9, 10], [3, 2, 3, 3], [3]]],
  },
  { op: "conv2d", f: conv({ groups: 2, padding: 1 }), shapes: [[[2, 4, 5, 6], [6, 2, 3, 3], [6]]] },
  {
    op: "conv2d",
    f: conv({ groups: 6, padding: 1 }),
    shapes: [
      [[2, 6, 5, 6], [6, 1, 3, 3], [6]],
      [[1, 6, 9, 9], [12, 1, 3, 3], [12]],
    ],
  },
  {
    op: "conv2d",
    f: conv({ groups: 3, stride: 2, padding: 2, dilation: 2 }),
    shapes: [[[2, 3, 9, 9], [6, 1, 3, 3], [6]]],
  },

  {
    op: "conv2d",
    f: (x, w, b) => rl.conv1d(x, w, b, { stride: 2, padding: 1, dilation: 2 }),
    shapes: [[[2, 3, 9], [4, 3, 3], [4]]],
  },
  {
    op: "conv2d",
    f: (x, w) => rl.conv1d(x, w, null, { groups: 3 }),
    shapes: [
      [
        [1, 3, 8],
        [6, 1, 4],
      ],
    ],
  },
  {
    op: "convTranspose2d",
    f: (x, w, b) => rl.convTranspose2d(x, w, b),
    shapes: [
      [[1, 1, 3, 3], [1, 1, 2, 2], [1]],
      [[2, 5, 4, 6], [5, 7, 3, 2], [7]],
      [[1, 16, 7, 7], [16, 8, 4, 4], [8]],
      [[0, 2, 3, 3], [2, 3, 2, 2], [3]],
    ],
  },
  ...(
    [
      { stride: 2, padding: 1, outputPadding: 1 },
      { stride: [3, 1], padding: [2, 0], outputPadding: [2, 0] },
      { stride: 1, dilation: 3, outputPadding: 2 },
      { stride: [1, 2], padding: [3, 1], dilation: [2, 1], outputPadding: [0, 1] },
    ] as const
  ).flatMap((options): Row[] => [
    {
      op: "convTranspose2d",
      f: (x, w, b) => rl.convTranspose2d(x, w, b, options),
      shapes: [
        [[2, 3, 4, 5], [3, 6, 3, 3], [6]],
        [[1, 1, 7, 6], [1, 1, 2, 3], [1]],
      ],
    },
    {
      op: "convTranspose2d",
      f: (x, w) => rl.convTranspose2d(x, w, null, { ...options, groups: 2 }),
      shapes: [
        [
          [2, 6, 4, 5],
          [6, 4, 3, 3],
        ],
        [
          [1, 2, 5, 4],
          [2, 1, 3, 3],
        ],
      ],
    },
  ]),

  ...([1, 3, [2, 5], [4, null], [7, 9]] as const).map((size): Row => ({
    op: "resample",
    f: (x) => rl.adaptiveAvgPool2d(x, size),
    shapes: [[[2, 3, 4, 6]], [[1, 5, 7]], [[0, 2, 4, 4]]],
  })),
  ...(
    [
      { size: 5 },
      { size: [3, 8] },
      { scaleFactor: 2 },
      { scaleFactor: [1.7, 0.6] },
      { scaleFactor: 1.3, recomputeScaleFactor: true },
    ] as const
  ).flatMap((options): Row[] =>
    (
      [
        {},
        { mode: "nearest-exact" },
        { mode: "bilinear" },
        { mode: "bilinear", alignCorners: true },
        { mode: "bicubic" },
        { mode: "bicubic", alignCorners: true },
        { mode: "area" },
      ] as const
    ).map((how) => ({
      op: "resample",
      f: (x) => rl.upsample(x, { ...options, ...how }),
      shapes: [[[2, 3, 4, 6]], [[1, 5, 7]], [[1, 1, 17, 2]], [[0, 2, 4, 4]]],
    })),
  ),
  ...([{ size: 5 }, { size: 1 }, { scaleFactor: 1.7 }] as const).flatMap((options): Row[] =>
    [false, true].map((alignCorners) => ({
      op: "resample",
      f: (x) => rl.upsample(x, { ...options, mode: "linear", alignCorners }),
      shapes: [[[2, 3, 6]], [[5, 7]], [[1, 1, 1]], [[0, 2, 4]]],
    })),
  ),

  {
    op: "maxPool2d",
    f: (x) => rl.maxPool2d(x, 2),
    shapes: [[[2, 3, 4, 6]], [[1, 1, 5, 7]], [[0, 2, 4, 4]], [[2, 4, 24, 24]]],
    domain: { distinct: true },
  },
  {
    op: "maxPool2dActivated",
    f: (x) => rl.maxPool2d(x, 2, { activation: "relu" }),
    shapes: [[[2, 3, 4, 6]], [[1, 1, 5, 7]], [[0, 2, 4, 4]], [[2, 4, 24, 24]]],
    domain: { distinct: true },
  },
  {
    op: "maxPool2dActivated",
    f: (x) => rl.maxPool2d(x, 3, { stride: 2, activation: "relu" }),
    shapes: [[[2, 2, 7, 6]]],
    domain: { distinct: true },
  },
  {
    op: "maxPool2d",
    f: (x) => rl.maxPool2d(x, 3, { stride: 2, padding: 1 }),
    shapes: [[[2, 2, 7, 6]]],
    domain: { distinct: true },
  },
  {
    op: "maxPool2d",
    f: (x) => rl.maxPool2d(x, [2, 3], { stride: 1, dilation: 2, ceilMode: true }),
    shapes: [[[1, 2, 7, 8]]],
    domain: { distinct: true },
  },
  {
    op: "avgPool2d",
    f: (x) => rl.avgPool2d(x, 2),
    shapes: [[[2, 3, 4, 6]], [[1, 1, 5, 7]], [[0, 2, 4, 4]]],
  },
  {
    op: "avgPool2d",
    f: (x) => rl.avgPool2d(x, 3, { stride: 2, padding: 1, ceilMode: true }),
    shapes: [[[2, 2, 7, 6]]],
  },
  {
    op: "avgPool2d",
    f: (x) => rl.avgPool2d(x, [3, 2], { stride: [2, 1], padding: 1, countIncludePad: false }),
    shapes: [[[1, 2, 7, 8]]],
  },

  ...[1, 2].flatMap((normalized): Row[] => [
    {
      op: "layerNorm",
      f: (x) => rl.layerNorm(x, x.shape.slice(-normalized)),
      shapes: [[[3, 5]], [[2, 7, 4]], [[0, 3]], [[2, 33, 70]]],
    },
    {
      op: "layerNorm",
      f: (x) => rl.rmsNorm(x, x.shape.slice(-normalized)),
      shapes: [[[3, 5]], [[2, 7, 4]], [[2, 33, 70]]],
    },
  ]),
  {
    op: "layerNormAffine",
    f: (x, weight, bias) => rl.layerNorm(x, weight.shape, { weight, bias, eps: 1e-3 }),
    shapes: [
      [[3, 5], [5], [5]],
      [
        [2, 3, 6, 7],
        [6, 7],
        [6, 7],
      ],
      [[64, 96], [96], [96]],
      [[99, 7], [7], [7]],
      [[0, 5], [5], [5]],
    ],
  },
  {
    op: "layerNormAffine",
    f: (x, weight) => rl.layerNorm(x, weight.shape, { weight }),
    shapes: [[[3, 5], [5]]],
  },
  {
    op: "layerNorm",
    f: (x, bias) => rl.layerNorm(x, bias.shape, { bias }),
    shapes: [[[3, 5], [5]]],
  },
  {
    op: "layerNormAffine",
    f: (x, weight) => rl.rmsNorm(x, weight.shape, { weight, eps: 1e-3 }),
    shapes: [
      [[3, 5], [5]],
      [
        [2, 3, 7],
        [3, 7],
      ],
    ],
  },
  {
    op: "layerNormResidual",
    f: (x, residual) => rl.layerNorm(x, x.shape.slice(-1), { residual }),
    shapes: [
      [
        [3, 5],
        [3, 5],
      ],
      [
        [2, 33, 70],
        [2, 33, 70],
      ],
    ],
  },
  {
    op: "layerNormResidual",
    f: (x, residual, weight, bias) => rl.layerNorm(x, weight.shape, { residual, weight, bias }),
    shapes: [
      [[99, 7], [99, 7], [7], [7]],
      [[0, 5], [0, 5], [5], [5]],
    ],
  },
  {
    op: "layerNormResidual",
    f: (x, residual, bias) => rl.layerNorm(x, bias.shape, { residual, bias }),
    shapes: [[[3, 5], [3, 5], [5]]],
  },
  {
    op: "layerNormResidual",
    f: (x, residual, weight) => rl.rmsNorm(x, weight.shape, { residual, weight }),
    shapes: [[[5, 9], [5, 9], [9]]],
  },
  // Other uses of x give it a gradient first, which that of the norm is added to: of everything, or of a view.
  {
    op: "layerNorm",
    f: (x) => {
      const y = rl.mul(x, 2);
      return rl.add(y, rl.mul(rl.layerNorm(y, y.shape.slice(-1)), y));
    },
    shapes: [[[3, 5]], [[33, 70]]],
  },
  {
    op: "layerNormAffine",
    f: (x, weight) => {
      const y = rl.mul(x, 2);
      return rl.concat([
        rl.rmsNorm(y, weight.shape, { weight }),
        y.transpose(0, 1).transpose(0, 1),
      ]);
    },
    shapes: [[[6, 9], [9]]],
  },
  ...[1, 2, 4].map((groups): Row => ({
    op: "layerNorm",
    f: (x, weight, bias) => rl.groupNorm(x, groups, { weight, bias }),
    shapes: [
      [[3, 4, 5], [4], [4]],
      [[2, 8, 3, 3], [8], [8]],
    ],
  })),
  { op: "layerNorm", f: (x) => rl.groupNorm(x, 2), shapes: [[[3, 4]], [[1, 2, 9, 7]]] },

  ...[0, 1, -1].flatMap((dim): Row[] => [
    {
      op: "softmax",
      f: (x) => rl.softmax(x, dim),
      shapes: [[[3, 5]], [[2, 7, 4]], [[40, 33]], [[0, 3]]],
      domain: { low: -6, high: 6 },
    },
    {
      op: "logSoftmax",
      f: (x) => rl.logSoftmax(x, dim),
      shapes: [[[3, 5]], [[2, 7, 4]], [[40, 33]], [[0, 3]]],
      domain: { low: -6, high: 6 },
    },
  ]),
  ...(["mean", "sum", "none"] as const).flatMap((reduction): Row[] => [
    {
      op: "crossEntropy",
      f: (x, t) => rl.crossEntropy(x, t, { reduction }),
      shapes: [
        [[4, 3], [4]],
        [[64, 10], [64]],
        [[1, 3], [1]],
        [
          [2, 3, 2, 2],
          [2, 2, 2],
        ],
        ...(reduction === "mean" ? [] : [[[0, 3], [0]]]),
      ],
      domain: [
        { low: -4, high: 4 },
        { integers: true, low: 0, high: 2 },
      ],
    },
    {
      op: "crossEntropy",
      f: (x, t) => rl.crossEntropy(x, t, { reduction, ignoreIndex: 1 }),
      shapes: [[[8, 3], [8]]],
      domain: [{}, { integers: true, low: 0, high: 2 }],
    },
    {
      op: "logSoftmax",
      f: (x) => rl.crossEntropy(x, probabilities(x), { reduction, labelSmoothing: 0.1 }),
      shapes: [[[4, 3]]],
    },
    {
      op: "logSoftmax",
      f: (x, t) =>
        rl.crossEntropy(x, t, {
          reduction,
          labelSmoothing: 0.2,
          weight: rl.tensor([0.5, 1, 2], { device: x.device }),
        }),
      shapes: [[[6, 3], [6]]],
      domain: [{}, { integers: true, low: 0, high: 2 }],
    },
    {
      op: "where",
      f: (x, t) => rl.nllLoss(x, t, { reduction }),
      shapes: [
        [[4, 3], [4]],
        [[3], []],
        [
          [2, 3, 2, 2],
          [2, 2, 2],
        ],
      ],
      domain: [{}, { integers: true, low: 0, high: 2 }],
    },
    {
      op: "where",
      f: (x, t, weight) => rl.nllLoss(x, t, { reduction, ignoreIndex: 1, weight }),
      shapes: [[[8, 3], [8], [3]]],
      domain: [{}, { integers: true, low: 0, high: 2 }, positive],
    },
    {
      op: "bceLoss",
      f: (x, t) => rl.bceLoss(x, t, { reduction }),
      shapes: [
        [
          [5, 7],
          [5, 7],
        ],
        [[], []],
        ...(reduction === "mean"
          ? []
          : [
              [
                [0, 3],
                [0, 3],
              ],
            ]),
      ],
      domain: { low: 0.1, high: 0.9 },
    },
    {
      op: "bceLoss",
      f: (x, t, weight) => rl.bceLoss(x, t, { reduction, weight }),
      shapes: [[[4, 3], [4, 3], [3]]],
      domain: { low: 0.1, high: 0.9 },
    },
    {
      op: "logSigmoid",
      f: (x, t) => rl.bceWithLogitsLoss(x, t, { reduction }),
      shapes: [
        [
          [5, 7],
          [5, 7],
        ],
      ],
      domain: [
        { low: -8, high: 8 },
        { low: 0, high: 1 },
      ],
    },
    {
      op: "logSigmoid",
      f: (x, t, weight, posWeight) => rl.bceWithLogitsLoss(x, t, { reduction, weight, posWeight }),
      shapes: [[[4, 3], [4, 3], [4, 1], [3]]],
      domain: [{}, { low: 0, high: 1 }, positive, positive],
    },
    {
      op: "abs",
      f: (x, t) => rl.l1Loss(x, t, { reduction }),
      shapes: [[[19], [19]]],
      domain: { distinct: true },
    },
    ...[0, 0.4, 1].map((beta): Row => ({
      op: "clamp",
      f: (x, t) => rl.smoothL1Loss(x, t, { reduction, beta }),
      shapes: [[[19], [19]]],
    })),
    {
      op: "clamp",
      f: (x, t) => rl.huberLoss(x, t, { reduction, delta: 1.3 }),
      shapes: [[[19], [19]]],
    },
    ...[false, true].map((logTarget): Row => ({
      op: "mul",
      f: (x, t) => rl.klDivLoss(x, t, { reduction, logTarget }),
      shapes: [
        [
          [5, 3],
          [5, 3],
        ],
      ],
      domain: positive,
    })),
    {
      op: reduction === "none" ? "square" : "mse",
      f: (x, t) => rl.mseLoss(x, t, { reduction }),
      shapes: [
        [[], []],
        [
          [4, 3],
          [4, 3],
        ],
        [
          [2, 0],
          [2, 0],
        ],
        [[70_003], [70_003]],
      ],
    },
  ]),
  {
    op: "mul",
    f: (x, t) => rl.klDivLoss(x, t, { reduction: "batchmean" }),
    shapes: [
      [
        [5, 3],
        [5, 3],
      ],
    ],
    domain: positive,
  },
  ...(["relu", "leakyRelu", "sigmoid", "tanh"] as const).flatMap((activation): Row[] => [
    {
      op: "linearActivated",
      f: (x, w, b) => rl.linear(x, w, b, { activation, negativeSlope: 0.2 }),
      shapes: [
        [[5, 7], [3, 7], [3]],
        [[2, 3, 20], [9, 20], [9]],
        [[3, 0], [2, 0], [2]],
      ],
    },
    {
      op: "conv2dActivated",
      f: (x, w, b) => rl.conv2d(x, w, b, { activation, padding: 1, stride: 2 }),
      shapes: [
        [[2, 3, 7, 6], [5, 3, 3, 3], [5]],
        [[2, 2, 5, 5], [1, 2, 3, 3], [1]],
        [[0, 2, 5, 5], [3, 2, 3, 3], [3]],
      ],
    },
  ]),
  {
    op: "dropout",
    f: (x) => rl.dropout(x, { p: 0.3, generator: new rl.Generator(7) }),
    shapes: [[[1031]], [[3, 5]], [[0]]],
  },
  ...(
    [
      {
        f: (q, k, v) => rl.scaledDotProductAttention(q, k, v),
        shapes: [
          [
            [2, 3, 4],
            [2, 5, 4],
            [2, 5, 3],
          ],
        ],
      },
      {
        f: (q, k, v) => rl.scaledDotProductAttention(q, k, v, { isCausal: true, scale: 0.3 }),
        shapes: [
          // More than a block of queries and of keys, in [batch, heads, time, width].
          [
            [1, 2, 133, 9],
            [1, 2, 140, 9],
            [1, 1, 140, 6],
          ],
          [
            [2, 2, 3, 4],
            [2, 2, 5, 4],
            [2, 2, 5, 3],
          ],
          [
            [5, 4],
            [3, 4],
            [3, 2],
          ],
          [
            [0, 4],
            [3, 4],
            [3, 2],
          ],
          [
            [2, 4],
            [0, 4],
            [0, 2],
          ],
        ],
      },
      {
        f: (q, k, v) =>
          rl.scaledDotProductAttention(q, k, v, { dropout: 0.3, generator: new rl.Generator(3) }),
        shapes: [
          [
            [3, 20, 4],
            [3, 270, 4],
            [3, 270, 5],
          ],
        ],
      },
      {
        f: (q, k, v, mask) => rl.scaledDotProductAttention(q, k, v, { mask, isCausal: true }),
        shapes: [
          [
            [2, 3, 4],
            [1, 5, 4],
            [5, 3],
            [2, 3, 5],
          ],
          [
            [3, 4],
            [3, 4],
            [3, 4],
            [3, 1],
          ],
        ],
      },
      {
        f: (q, k, v, mask) =>
          rl.scaledDotProductAttention(q, k, v, { mask: rl.div(mask, 2), isCausal: true }),
        shapes: [
          [
            [2, 11, 4],
            [2, 13, 4],
            [2, 13, 3],
            [2, 1, 11, 13],
          ],
        ],
        domain: [{}, {}, {}, { integers: true, low: -3, high: 3 } as const],
      },
      {
        f: (q, k, v) => rl.scaledDotProductAttention(q, k, v, { enableGqa: true }),
        shapes: [
          [
            [2, 6, 5, 4],
            [2, 2, 5, 4],
            [2, 2, 5, 4],
          ],
          [
            [4, 3, 4],
            [2, 5, 4],
            [2, 5, 3],
          ],
        ],
      },
      {
        f: (q, k, v, mask) => rl.scaledDotProductAttention(q, k, v, { mask }),
        shapes: [
          [
            [2, 3, 4],
            [2, 5, 4],
            [2, 5, 3],
            [3, 5],
          ],
          [[3, 4], [2, 4], [2, 4], [2]],
          [
            [7, 4],
            [1, 4],
            [1, 4],
            [7, 1],
          ],
          [
            [0, 4],
            [3, 4],
            [3, 2],
            [0, 3],
          ],
        ],
        domain: [{}, {}, {}, { booleans: true } as const],
      },
    ] satisfies Omit<Row, "op">[]
  ).map((row: Omit<Row, "op">) => ({ op: attentionRecord(row), ...row })),
  ...[false, true].map((interleaved) => ({
    op: "rotaryEmbedding",
    f: (x: Tensor) => rl.rotaryEmbedding(x, { base: 100, offset: 3, interleaved }),
    shapes: [[[2, 5, 6]], [[3, 2]], [[0, 4]]],
  })),
  ...(["tanh", "relu"] as const).map((nonlinearity) => ({
    op: "rnnSequence",
    f: (x: Tensor, weightIh: Tensor, weightHh: Tensor, h: Tensor) =>
      rl.rnn(x, { weightIh, weightHh }, { h, nonlinearity, reverse: nonlinearity === "relu" })
        .output,
    shapes: [
      [
        [4, 2, 3],
        [5, 3],
        [5, 5],
        [2, 5],
      ],
      [
        [3, 13, 2],
        [4, 2],
        [4, 4],
        [13, 4],
      ],
      [
        [2, 0, 3],
        [5, 3],
        [5, 5],
        [0, 5],
      ],
    ],
  })),
  ...[false, true].flatMap((reverse): Row[] => [
    {
      op: "lstmSequence",
      f: (x, weightIh, weightHh, biasIh, biasHh, h0, c0, weightHr) => {
        const weights = { weightIh, weightHh, biasIh, biasHh, weightHr };
        const { output, h, c } = rl.lstm(x, weights, { h: h0, c: c0, reverse });
        return rl.concat([output, h, c].map((part) => rl.flatten(part)));
      },
      shapes: [
        [[4, 2, 3], [20, 3], [20, 5], [20], [20], [2, 5], [2, 5]],
        [[3, 13, 2], [16, 2], [16, 4], [16], [16], [13, 4], [13, 4]],
        [[1, 1, 1], [4, 1], [4, 1], [4], [4]],
        [[4, 7, 3], [20, 3], [20, 2], [20], [20], [7, 2], [7, 5], [2, 5]],
        [[2, 0, 3], [20, 3], [20, 2], [20], [20], [0, 2], [0, 5], [2, 5]],
      ],
    },
    {
      op: "gruSequence",
      f: (x, weightIh, weightHh, biasIh, biasHh, h0) => {
        const weights = { weightIh, weightHh, biasIh, biasHh };
        const { output, h } = rl.gru(x, weights, { h: h0, reverse });
        return rl.concat([output, rl.unsqueeze(h, 0)]);
      },
      shapes: [
        [[4, 2, 3], [15, 3], [15, 5], [15], [15], [2, 5]],
        [[3, 13, 2], [12, 2], [12, 4], [12], [12], [13, 4]],
        [[1, 1, 1], [3, 1], [3, 1], [3], [3]],
        [
          [2, 3, 2],
          [6, 2],
          [6, 2],
        ],
        [[2, 0, 3], [15, 3], [15, 5], [15], [15], [0, 5]],
      ],
    },
  ]),
  ...imageRows,
  ...indexingRows,
];
