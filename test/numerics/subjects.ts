/**
 * What `npm run numerics` measures: every operation with a float result, over which domain, in which
 * unit, beside which tolerance of WebNN's conformance tests.
 */
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";

/** Part of a domain: uniform, or log-uniform in magnitude (low > 0; `signed` draws either sign). */
export interface Interval {
  low: number;
  high: number;
  log?: true;
  signed?: true;
}

/** Float values, each interval for an equal share of the elements; or whole numbers. */
export type Domain = readonly Interval[] | { below: number };

/**
 * What an error is counted in: the float32 ulp of
 * - result: the exact result itself
 * - terms: the sum of the magnitudes of all terms that the result is a sum of (the same call on |inputs|)
 * - largest: the largest magnitude in the result
 * - gradient: |dy|, if it is larger than the result (backward of a function that saturates)
 */
export type Unit = "result" | "terms" | "largest" | "gradient";

export interface Subject {
  /** Name of the record, or of a function of several. */
  op: string;
  /** What is called, where the name does not say it. */
  call?: string;
  family: string;
  f: (...inputs: Tensor[]) => Tensor;
  shapes: readonly (readonly number[])[];
  domains: readonly Domain[];
  forward?: Unit;
  backward?: Unit;
  /** WebNN's operation and its tolerance for float32: in ulp, or absolute. */
  webnn?: { op: string; ulp: number } | { op: string; absolute: number };
  /** Kernels of its own that run here, forward or backward. */
  also?: readonly string[];
}

const n = 4096;
const on = (low: number, high: number): Interval => ({ low, high });
const log = (low: number, high: number): Interval => ({ low, high, log: true });
const both = (low: number, high: number): Interval => ({ low, high, log: true, signed: true });
const ordinary: Domain = [on(-10, 10), both(1e-6, 1e6)];
const unit: Domain = [on(-1, 1)];
/** 1/1024, WebNN's absolute tolerance of what GPUs compute badly. */
const loose = 1 / 1024;

type Rest = Partial<Subject>;

const map = (op: string, f: (x: Tensor) => Tensor, domain: Domain, rest: Rest = {}): Subject => ({
  op,
  family: "Elementwise, one input",
  f,
  shapes: [[n]],
  domains: [domain],
  ...rest,
});
const activation = (
  op: string,
  f: (x: Tensor) => Tensor,
  domain: Domain,
  rest: Rest = {},
): Subject => map(op, f, domain, { family: "Activations", also: [`${op}Grad`], ...rest });
const zip = (
  op: string,
  f: (a: Tensor, b: Tensor) => Tensor,
  domains: readonly Domain[],
  rest: Rest = {},
): Subject => ({
  op,
  family: "Elementwise, two inputs",
  f,
  shapes: [[n], [n]],
  domains,
  ...rest,
});
const ulp = (op: string, tolerance: number): Rest => ({ webnn: { op, ulp: tolerance } });
const atol = (op: string): Rest => ({ webnn: { op, absolute: loose } });

const elementwise: readonly Subject[] = [
  map("exp", rl.exp, [on(-87, 88), both(1e-6, 1)], ulp("exp", 32)),
  map("expm1", rl.expm1, [on(-20, 88), both(1e-6, 1)], { backward: "gradient" }),
  map("log", rl.log, [log(2e-38, 1e38), on(0.5, 2)], atol("log")),
  map("log1p", rl.log1p, [log(1e-6, 1e38), on(-0.999, 1), both(1e-6, 0.5)]),
  map("log2", rl.log2, [log(2e-38, 1e38), on(0.5, 2)]),
  map("log10", rl.log10, [log(2e-38, 1e38), on(0.5, 2)]),
  map("sqrt", rl.sqrt, [log(2e-38, 1e38)], ulp("sqrt", 1)),
  map("rsqrt", rl.rsqrt, [log(1e-24, 1e24)]),
  map("reciprocal", rl.reciprocal, [both(1e-18, 1e18)], ulp("reciprocal", 2)),
  map("sin", rl.sin, [on(-1000, 1000), both(1e-6, 10), both(1e3, 3e38)], atol("sin")),
  map("cos", rl.cos, [on(-1000, 1000), both(1e-6, 10), both(1e3, 3e38)], atol("cos")),
  map("tan", rl.tan, [on(-1000, 1000), both(1e-6, 1.5)], atol("tan")),
  map("asin", rl.asin, [on(-1, 1), both(1e-6, 1)]),
  map("acos", rl.acos, [on(-1, 1), both(1e-6, 1)]),
  map("atan", rl.atan, [both(1e-6, 1e6), on(-4, 4)]),
  map("erf", rl.erf, [on(-5, 5), both(1e-6, 1)], atol("erf")),
  map("abs", rl.abs, ordinary, ulp("abs", 0)),
  map("neg", rl.neg, ordinary, ulp("neg", 0)),
  map("sign", rl.sign, ordinary),
  map("square", rl.square, ordinary),
  map("floor", rl.floor, ordinary, ulp("floor", 0)),
  map("ceil", rl.ceil, ordinary, ulp("ceil", 0)),
  map("round", rl.round, ordinary),
  map("trunc", rl.trunc, ordinary),
  map("clamp", (x) => rl.clamp(x, { min: -2, max: 3 }), ordinary, {
    ...ulp("clamp", 0),
    also: ["clampGrad"],
  }),
  map("addScalar", (x) => rl.add(x, 1.75), ordinary, ulp("add", 1)),
  map("mulScalar", (x) => rl.mul(x, 1.75), ordinary, ulp("mul", 1)),
  map("rsubScalar", (x) => rl.sub(1.75, x), ordinary, ulp("sub", 1)),
  map("rdivScalar", (x) => rl.div(1.75, x), [both(1e-6, 1e6)], ulp("div", 2)),
  map("powScalar", (x) => rl.pow(x, 3), [both(1e-6, 1e6)], {
    call: "pow(x, 3)",
    ...ulp("pow", 32),
  }),
  map("powScalar", (x) => rl.pow(x, 2.5), [log(1e-6, 1e6)], {
    call: "pow(x, 2.5)",
    ...ulp("pow", 32),
  }),
  map("scalarPow", (x) => rl.pow(2.5, x), [on(-80, 80)], ulp("pow", 32)),
];

const activations: readonly Subject[] = [
  activation("relu", rl.relu, ordinary, ulp("relu", 0)),
  activation("leakyRelu", (x) => rl.leakyRelu(x, 0.125), ordinary, ulp("leakyRelu", 1)),
  activation("tanh", rl.tanh, [on(-10, 10), both(1e-6, 1)], {
    ...atol("tanh"),
    backward: "gradient",
  }),
  activation("sigmoid", rl.sigmoid, [on(-80, 20)], { ...ulp("sigmoid", 34), backward: "gradient" }),
  activation("logSigmoid", rl.logSigmoid, [on(-80, 80)]),
  activation("softplus", (x) => rl.softplus(x), [on(-80, 80)], ulp("softplus", 18)),
  activation("silu", rl.silu, [on(-80, 80), both(1e-6, 1)], { backward: "gradient" }),
  activation("gelu", (x) => rl.gelu(x), [on(-5, 10), both(1e-6, 1)], { backward: "gradient" }),
  activation("geluTanh", (x) => rl.gelu(x, { approximate: "tanh" }), [on(-3, 10), both(1e-6, 1)], {
    backward: "gradient",
  }),
  activation("elu", (x) => rl.elu(x), [on(-80, 10), both(1e-6, 1)], ulp("elu", 18)),
];

const wide: Domain = [both(1e-6, 1e6)];
const pairs: readonly Subject[] = [
  zip("add", rl.add, [ordinary, ordinary], ulp("add", 1)),
  zip("sub", rl.sub, [ordinary, ordinary], ulp("sub", 1)),
  zip("mul", rl.mul, [ordinary, ordinary], ulp("mul", 1)),
  zip("div", rl.div, [wide, wide], ulp("div", 2)),
  zip("pow", rl.pow, [[log(1e-3, 1e3)], [on(-10, 10)]], ulp("pow", 32)),
  zip("maximum", rl.maximum, [ordinary, ordinary], ulp("max", 0)),
  zip("minimum", rl.minimum, [ordinary, ordinary], ulp("min", 0)),
  zip("atan2", rl.atan2, [ordinary, ordinary]),
  zip("fmod", rl.fmod, [ordinary, [both(1e-2, 1e2)]], { forward: "largest", backward: "terms" }),
  zip("remainder", rl.remainder, [ordinary, [both(1e-2, 1e2)]], {
    forward: "largest",
    backward: "terms",
  }),
];

const moved = (op: string, f: (x: Tensor) => Tensor, rest: Rest = {}): Subject => ({
  op,
  family: "Moving and choosing",
  f,
  shapes: [[32, 128]],
  domains: [ordinary],
  ...rest,
});
const movement: readonly Subject[] = [
  moved("contiguous", (x) => rl.clone(x), ulp("identity", 0)),
  moved("reshape", (x) => rl.reshape(x, [64, 64]), ulp("reshape", 0)),
  moved("permute", (x) => rl.permute(x, [1, 0]), ulp("transpose", 0)),
  moved("expand", (x) => rl.expand(x, [3, 32, 128]), { ...ulp("expand", 0), backward: "terms" }),
  moved("slice", (x) => rl.narrow(x, 1, 3, 100), ulp("slice", 0)),
  moved("concat", (x) => rl.concat([x, x], 1), ulp("concat", 0)),
  moved("dropout", (x) => rl.dropout(x, { p: 0.3, generator: new rl.Generator(1) })),
  moved("where", (x) => rl.where(rl.gt(x, 0), x, 1), ulp("where", 0)),
  moved("takeRows", (x) => x, {
    f: (x, index) => rl.indexSelect(x, 0, index),
    shapes: [[32, 128], [20]],
    domains: [ordinary, { below: 32 }],
    backward: "terms",
    ...ulp("gather", 0),
  }),
  moved("gather", (x) => x, {
    f: (x, index) => rl.gather(x, 0, index),
    shapes: [
      [32, 128],
      [20, 128],
    ],
    domains: [ordinary, { below: 32 }],
    backward: "terms",
    ...ulp("gatherElements", 0),
  }),
  moved("addRows", (x) => x, {
    f: (x, index, src) => rl.indexAdd(x, 0, index, src),
    shapes: [[32, 128], [40], [40, 128]],
    domains: [unit, { below: 32 }, unit],
    forward: "terms",
  }),
  moved("scatter", (x) => x, {
    f: (x, index, src) => rl.scatter(x, 0, index, src),
    shapes: [
      [32, 128],
      [40, 128],
      [40, 128],
    ],
    domains: [unit, { below: 32 }, unit],
  }),
  moved("scatterAdd", (x) => x, {
    f: (x, index, src) => rl.scatterAdd(x, 0, index, src),
    shapes: [
      [32, 128],
      [40, 128],
      [40, 128],
    ],
    domains: [unit, { below: 32 }, unit],
    forward: "terms",
  }),
];

const reduced = (op: string, f: (x: Tensor) => Tensor, rest: Rest = {}): Subject => ({
  op,
  family: "Reductions over 256",
  f,
  shapes: [[256, 256]],
  domains: [unit],
  forward: "terms",
  backward: "terms",
  ...rest,
});
const reductions: readonly Subject[] = [
  reduced("sum", (x) => rl.sum(x, 1), ulp("reduceSum", 256)),
  reduced("sum", (x) => rl.sum(x, 0), { call: "sum(x, 0)", ...ulp("reduceSum", 256) }),
  reduced("mean", (x) => rl.mean(x, 1), ulp("reduceMean", 258)),
  reduced("prod", (x) => rl.prod(x, 1), {
    domains: [[on(0.9, 1.1)]],
    forward: "result",
    backward: "result",
    ...ulp("reduceProduct", 256),
  }),
  reduced("amax", (x) => rl.amax(x, 1), { forward: "result", ...ulp("reduceMax", 0) }),
  reduced("amin", (x) => rl.amin(x, 1), { forward: "result", ...ulp("reduceMin", 0) }),
  reduced("max", (x) => rl.max(x, 1).values, { forward: "result", ...ulp("reduceMax", 0) }),
  reduced("min", (x) => rl.min(x, 1).values, { forward: "result", ...ulp("reduceMin", 0) }),
  reduced("logsumexp", (x) => rl.logsumexp(x, 1), {
    domains: [[on(-10, 10)]],
    forward: "result",
    backward: "result",
    ...ulp("reduceLogSumExp", 530),
  }),
  reduced("norm", (x) => rl.norm(x, 2, 1), {
    forward: "result",
    backward: "result",
    ...ulp("reduceL2", 513),
  }),
  reduced("variance", (x) => rl.variance(x, 1), { forward: "result", backward: "largest" }),
  reduced("cumsum", (x) => rl.cumsum(x, 1)),
  reduced("softmax", (x) => rl.softmax(x, 1), {
    domains: [[on(-10, 10)]],
    forward: "result",
    backward: "largest",
    also: ["softmaxGrad"],
    ...ulp("softmax", 771),
  }),
  reduced("logSoftmax", (x) => rl.logSoftmax(x, 1), {
    domains: [[on(-10, 10)]],
    forward: "result",
    backward: "largest",
    also: ["logSoftmaxGrad"],
  }),
];

const product = (
  op: string,
  f: Subject["f"],
  shapes: readonly (readonly number[])[],
  rest: Rest = {},
): Subject => ({
  op,
  family: "Products, convolutions, pooling",
  f,
  shapes,
  domains: shapes.map(() => unit),
  forward: "terms",
  backward: "terms",
  ...rest,
});
const attended = [
  [2, 64, 32],
  [2, 64, 32],
  [2, 64, 32],
];
const products: readonly Subject[] = [
  product(
    "matmul",
    rl.matmul,
    [
      [64, 256],
      [256, 64],
    ],
    { call: "inner 256", ...ulp("matmul", 512) },
  ),
  product(
    "matmul",
    rl.matmul,
    [
      [32, 4096],
      [4096, 32],
    ],
    {
      call: "inner 4096",
      ...ulp("matmul", 8192),
    },
  ),
  product(
    "conv2d",
    (x, w, b) => rl.conv2d(x, w, b, { padding: 1 }),
    [[2, 16, 14, 14], [16, 16, 3, 3], [16]],
    { also: ["conv2dGradInput", "conv2dGradWeight"], ...ulp("conv2d", 288) },
  ),
  product(
    "conv2d",
    (x, w, b) => rl.conv2d(x, w, b, { padding: 1 }),
    [[4, 32, 14, 14], [32, 32, 3, 3], [32]],
    { call: "by Winograd's transforms", ...ulp("conv2d", 576) },
  ),
  product(
    "conv2d",
    (x, w, b) => rl.conv2d(x, w, b, { padding: 1 }),
    [[8, 1, 28, 28], [16, 1, 3, 3], [16]],
    { call: "one channel", ...ulp("conv2d", 18) },
  ),
  product(
    "conv2d",
    (x, w) => rl.conv2d(x, w, null, { groups: 16 }),
    [
      [2, 16, 14, 14],
      [16, 1, 3, 3],
    ],
    {
      call: "depthwise",
      ...ulp("conv2d", 18),
    },
  ),
  product(
    "linear",
    (x, w, b) => rl.linear(x, w, b),
    [[64, 256], [64, 256], [64]],
    ulp("gemm", 513),
  ),
  product(
    "linearActivated",
    (x, w, b) => rl.linear(x, w, b, { activation: "relu" }),
    [[64, 256], [64, 256], [64]],
    { call: "linear and relu", ...ulp("gemm", 513) },
  ),
  product(
    "conv2dActivated",
    (x, w, b) => rl.conv2d(x, w, b, { padding: 1, activation: "relu" }),
    [[2, 16, 14, 14], [16, 16, 3, 3], [16]],
    { call: "conv2d and relu", ...ulp("conv2d", 288) },
  ),
  product(
    "convTranspose2d",
    (x, w) => rl.convTranspose2d(x, w, null, { stride: 2 }),
    [
      [2, 16, 7, 7],
      [16, 16, 3, 3],
    ],
    { also: ["convTranspose2dGrad"], ...ulp("convTranspose2d", 288) },
  ),
  product("maxPool2d", (x) => rl.maxPool2d(x, 2), [[2, 16, 16, 16]], {
    forward: "result",
    also: ["maxPool2dGrad"],
    ...ulp("maxPool2d", 0),
  }),
  product(
    "maxPool2dActivated",
    (x) => rl.maxPool2d(x, 2, { activation: "relu" }),
    [[2, 16, 16, 16]],
    { forward: "result", ...ulp("maxPool2d", 0) },
  ),
  product("avgPool2d", (x) => rl.avgPool2d(x, 3), [[2, 16, 18, 18]], {
    also: ["avgPool2dGrad"],
    ...ulp("averagePool2d", 11),
  }),
  product("resample", (x) => rl.upsample(x, { size: [13, 9], mode: "bilinear" }), [[2, 16, 8, 8]], {
    call: "upsample, bilinear",
    ...ulp("resample2d", 84),
  }),
  product("attention", (q, k, v) => rl.scaledDotProductAttention(q, k, v), attended, {
    forward: "largest",
    backward: "largest",
  }),
  product(
    "attentionMasked",
    (q, k, v, mask) => rl.scaledDotProductAttention(q, k, v, { mask: rl.cast(mask, "bool") }),
    [...attended, [64, 64]],
    {
      domains: [unit, unit, unit, { below: 2 }],
      forward: "largest",
      backward: "largest",
    },
  ),
];

const rest = (
  op: string,
  f: Subject["f"],
  shapes: readonly (readonly number[])[],
  more: Rest = {},
): Subject => ({
  op,
  family: "Normalisation, losses, recurrence",
  f,
  shapes,
  domains: shapes.map(() => unit),
  forward: "largest",
  backward: "largest",
  ...more,
});
const sequence = [
  [16, 8, 24],
  [0, 24],
  [0, 32],
];
const gates = (count: number): number[][] =>
  sequence.map(([first, ...tail]) => [first === 0 ? count * 32 : first, ...tail]);
const weighted: readonly Domain[] = [[on(-2, 2)], [on(-0.3, 0.3)], [on(-0.3, 0.3)]];
const others: readonly Subject[] = [
  rest("layerNorm", (x) => rl.layerNorm(x, [256]), [[64, 256]], {
    domains: [[on(-3, 5)]],
    also: ["layerNormGrad"],
    webnn: { op: "layerNormalization", absolute: loose },
  }),
  rest(
    "layerNormAffine",
    (x, weight, bias) => rl.layerNorm(x, [256], { weight, bias }),
    [[64, 256], [256], [256]],
    { domains: [[on(-3, 5)], unit, unit], webnn: { op: "layerNormalization", absolute: loose } },
  ),
  rest(
    "layerNormResidual",
    (x, residual, weight, bias) => rl.layerNorm(x, [256], { residual, weight, bias }),
    [[64, 256], [64, 256], [256], [256]],
    { domains: [[on(-3, 5)], [on(-1, 1)], unit, unit] },
  ),
  rest(
    "batchNorm",
    (x, weight, bias) => rl.batchNorm(x, { weight, bias, training: true }),
    [[64, 256], [256], [256]],
    {
      domains: [[on(-3, 5)], unit, unit],
      also: ["batchMoments", "batchNormGrad"],
      ...ulp("batchNormalization", 6),
    },
  ),
  rest("crossEntropy", (x, t) => rl.crossEntropy(x, t, { reduction: "none" }), [[256, 64], [256]], {
    domains: [[on(-10, 10)], { below: 64 }],
    also: ["crossEntropyGrad"],
  }),
  rest("mse", (x, t) => rl.mseLoss(x, t), [[4096], [4096]], { also: ["mseGrad"] }),
  rest("bceLoss", (x, t) => rl.bceLoss(x, t, { reduction: "none" }), [[n], [n]], {
    domains: [[on(1e-3, 0.999)], [on(0, 1)]],
  }),
  rest(
    "rnnSequence",
    (x, weightIh, weightHh) => rl.rnn(x, { weightIh, weightHh }).output,
    gates(1),
    {
      call: "rnn, 16 steps",
      domains: weighted,
      also: ["rnnSequenceGrad"],
    },
  ),
  rest(
    "lstmSequence",
    (x, weightIh, weightHh) => rl.lstm(x, { weightIh, weightHh }).output,
    gates(4),
    {
      call: "lstm, 16 steps",
      domains: weighted,
      also: ["lstmSequenceGrad"],
    },
  ),
  rest(
    "gruSequence",
    (x, weightIh, weightHh) => rl.gru(x, { weightIh, weightHh }).output,
    gates(3),
    {
      call: "gru, 16 steps",
      domains: weighted,
      also: ["gruSequenceGrad"],
    },
  ),
];

export const subjects: readonly Subject[] = [
  ...elementwise,
  ...activations,
  ...pairs,
  ...movement,
  ...reductions,
  ...products,
  ...others,
];

/** Records whose result is no float, or (cast) a whole number that float32 holds. */
export const withoutFloats: readonly string[] = [
  "eq",
  "ne",
  "lt",
  "le",
  "gt",
  "ge",
  "logicalAnd",
  "logicalOr",
  "logicalNot",
  "argmax",
  "argmin",
  "argsort",
  "cast",
];

/** `exp`, `matmul: inner 256`: what a subject is called in files and messages. */
export function titleOf({ op, call }: Subject): string {
  return call === undefined ? op : `${op}: ${call}`;
}
