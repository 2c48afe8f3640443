/**
 * How fast-check draws calls of operations: shapes, attributes and domains, by family. Rows of the
 * table that work on any shape (`draw: "map" | "zip"`) are drawn from themselves; the others here.
 */
import * as fc from "fast-check";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import type { Domain, Row } from "./table.ts";

/**
 * - uniform: over the domain
 * - ties: few different values
 * - tiny, huge, mixed: random signs, magnitudes about 2^-40, 2^40, 2^-12 to 2^12
 * - special: NaN, infinities, and zeros among ordinary numbers
 */
export type ValueKind = "uniform" | "ties" | "tiny" | "huge" | "mixed" | "special";
const every: readonly ValueKind[] = ["uniform", "ties", "tiny", "huge", "mixed", "special"];
const finite: readonly ValueKind[] = ["uniform", "ties", "tiny", "huge", "mixed"];
const moderate: readonly ValueKind[] = ["uniform", "ties"];

/** One call, but for layouts and values. */
export interface Drawn {
  /** The attributes, for messages. */
  how: string;
  f: (...inputs: Tensor[]) => Tensor;
  shapes: readonly (readonly number[])[];
  domains?: readonly Domain[];
  discrete?: boolean;
}

export interface Draw {
  /** Name of the record, or of what is composed of several. */
  op: string;
  calls: fc.Arbitrary<Drawn>;
  values: readonly ValueKind[];
  /** Largest error relative to the scale; default 4e-6. */
  tolerance?: number;
}

const largest = 2048;
const extent = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(1) },
  { weight: 8, arbitrary: fc.integer({ min: 2, max: 5 }) },
  { weight: 4, arbitrary: fc.integer({ min: 6, max: 17 }) },
  { weight: 1, arbitrary: fc.integer({ min: 18, max: 70 }) },
);
const small = fc.integer({ min: 1, max: 4 });

/** At most `largest` elements: what would be beyond becomes 1. */
function limited(shape: readonly number[]): number[] {
  let size = 1;
  return shape.map((n) => {
    const kept = size * n > largest ? 1 : n;
    size *= Math.max(kept, 1);
    return kept;
  });
}

const shapeOf = (minLength: number, maxLength: number): fc.Arbitrary<number[]> =>
  fc.array(extent, { minLength, maxLength }).map(limited);

/** Another shape that broadcasts with it: leading dimensions left out, others 1. */
const partnerOf = (shape: readonly number[]): fc.Arbitrary<number[]> =>
  fc
    .tuple(fc.nat({ max: shape.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
    .map(([skip, ones]) => shape.slice(skip).map((n, d) => (ones[d] ? 1 : n)));

/** Shapes of `count` inputs that broadcast together; any of them may be the full one. */
const broadcasting = (count: number): fc.Arbitrary<number[][]> =>
  shapeOf(0, 4).chain((shape) =>
    fc.tuple(
      ...Array.from({ length: count }, () => fc.oneof(fc.constant(shape), partnerOf(shape))),
    ),
  );

const dimOf = (shape: readonly number[]): fc.Arbitrary<number> =>
  fc.integer({ min: -shape.length, max: shape.length - 1 });

/** A row that works on any shape, as it stands in the table. */
export function drawsOf(row: Row): Draw {
  const domains = (count: number): Domain[] =>
    Array.from({ length: count }, (_, i) =>
      Array.isArray(row.domain) ? row.domain[i] : ((row.domain as Domain) ?? {}),
    );
  const whole = (shapes: readonly number[][]): Drawn => ({
    how: "",
    f: row.f,
    shapes,
    domains: domains(shapes.length),
    discrete: row.discrete,
  });
  const calls =
    row.draw === "map" ? shapeOf(0, 4).map((s) => whole([s])) : broadcasting(2).map(whole);
  return { op: row.op, calls, values: row.values ?? every, tolerance: row.tolerance };
}

/** x → f(x) with attributes drawn for its shape. */
function onShape<A>(
  op: string,
  shapes: fc.Arbitrary<number[]>,
  attrs: (shape: number[]) => fc.Arbitrary<A>,
  f: (x: Tensor, attrs: A) => Tensor,
  more: Partial<Draw & Drawn> = {},
): Draw {
  const calls = shapes.chain((shape) =>
    attrs(shape).map((a): Drawn => ({
      how: JSON.stringify(a),
      f: (x) => f(x, a),
      shapes: [shape],
      domains: more.domains,
      discrete: more.discrete,
    })),
  );
  return { op, calls, values: more.values ?? every, tolerance: more.tolerance };
}

const oneDim = (shape: number[]): fc.Arbitrary<number> => dimOf(shape);
const someDims = (shape: number[]): fc.Arbitrary<{ dim?: number[]; keepdim: boolean }> =>
  fc
    .tuple(fc.option(fc.subarray(shape.map((_, d) => d)), { nil: undefined }), fc.boolean())
    .map(([dim, keepdim]) => ({ dim: dim?.length === 0 ? undefined : dim, keepdim }));

type Reduction = (x: Tensor, dim?: number | number[], o?: rl.ReduceOptions) => Tensor;
const reduction = (op: string, f: Reduction, more: Partial<Draw & Drawn> = {}): Draw =>
  onShape(op, shapeOf(0, 4), someDims, (x, { dim, keepdim }) => f(x, dim, { keepdim }), more);
const along = (
  op: string,
  f: (x: Tensor, dim: number) => Tensor,
  more?: Partial<Draw & Drawn>,
): Draw => onShape(op, shapeOf(1, 4), oneDim, f, more);

const reductions: readonly Draw[] = [
  reduction("sum", rl.sum),
  reduction("sum", rl.sum, { domains: [{ integers: true, low: -9, high: 9 }] }),
  reduction("mean", rl.mean),
  reduction("amax", rl.amax),
  reduction("amin", rl.amin),
  reduction("prod", rl.prod, {
    values: moderate,
    domains: [{ low: 0.7, high: 1.4 }],
    tolerance: 1e-4,
  }),
  reduction("logsumexp", rl.logsumexp, { values: moderate }),
  reduction("variance", rl.variance, { values: moderate, tolerance: 2e-5 }),
  reduction("norm", (x, dim, o) => rl.norm(x, 2, dim, o), { values: ["uniform", "huge"] }),
  along("argmax", (x, dim) => rl.argmax(x, dim), { discrete: true }),
  along("argmin", (x, dim) => rl.argmin(x, dim), { discrete: true }),
  along("max", (x, dim) => rl.max(x, dim).values),
  along("min", (x, dim) => rl.min(x, dim).values),
  along("cumsum", rl.cumsum, { values: finite, tolerance: 2e-5 }),
  along("softmax", rl.softmax, { values: ["uniform", "ties", "mixed", "special"] }),
  along("logSoftmax", rl.logSoftmax, { values: ["uniform", "ties", "mixed", "special"] }),
  along("argsort", (x, dim) => rl.argsort(x, dim), { discrete: true }),
  along("argsort", (x, dim) => rl.sort(x, dim, { descending: true }).values),
];

const attrless = (): fc.Arbitrary<null> => fc.constant(null);

/** slice arguments that are in range, for every dimension. */
const cuts = (shape: number[]): fc.Arbitrary<[number | null, number | null, number][]> =>
  fc.tuple(
    ...shape.map((n) =>
      fc.tuple(
        fc.option(fc.integer({ min: -n, max: n })),
        fc.option(fc.integer({ min: -n, max: n })),
        fc.constantFrom(1, 1, 2, 3, -1, -2),
      ),
    ),
  );

const movement: readonly Draw[] = [
  onShape("contiguous", shapeOf(0, 4), attrless, (x) => rl.contiguous(x)),
  onShape("contiguous", shapeOf(0, 4), attrless, (x) => rl.clone(x), {
    domains: [{ booleans: true }],
    discrete: true,
  }),
  onShape("reshape", shapeOf(1, 4), oneDim, (x, dim) => rl.flatten(x, 0, dim)),
  onShape(
    "permute",
    shapeOf(1, 4),
    (s) => fc.shuffledSubarray([...s.keys()], { minLength: s.length }),
    (x, order) => rl.contiguous(rl.permute(x, order)),
  ),
  onShape(
    "expand",
    shapeOf(0, 2),
    (s) => fc.tuple(small, fc.constant(s)).map(([n, tail]) => [n, ...tail]),
    (x, shape) => rl.contiguous(rl.expand(x, shape)),
  ),
  onShape("slice", shapeOf(1, 4), cuts, (x, a) => rl.contiguous(rl.slice(x, a))),
  onShape("slice", shapeOf(1, 4), oneDim, (x, dim) => rl.flip(x, dim)),
  onShape(
    "concat",
    shapeOf(1, 3),
    (s) => fc.tuple(dimOf(s), fc.integer({ min: -9, max: 9 })),
    (x, [dim, shift]) => rl.roll(x, shift, dim),
  ),
  {
    op: "concat",
    values: every,
    calls: shapeOf(1, 4).chain((shape) =>
      fc
        .tuple(dimOf(shape), fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 4 }))
        .map(([dim, extents]): Drawn => {
          const at = dim < 0 ? dim + shape.length : dim;
          return {
            how: `dim ${dim}`,
            f: (...parts) => rl.concat(parts, dim),
            shapes: extents.map((n) => shape.map((m, d) => (d === at ? n : m))),
          };
        }),
    ),
  },
  ...(["constant", "reflect", "replicate", "circular"] as const).map((mode) =>
    onShape(
      mode === "constant" ? "concat" : "takeRows",
      shapeOf(1, 3),
      () => fc.array(fc.integer({ min: -2, max: 4 }), { minLength: 2, maxLength: 2 }),
      (x, widths) => rl.pad(x, widths, { mode }),
      { values: moderate },
    ),
  ),
  {
    op: "where",
    values: every,
    calls: broadcasting(3).map((shapes) => ({
      how: "",
      f: rl.where,
      shapes,
      domains: [{ booleans: true }, {}, {}],
    })),
  },
  onShape("cast", shapeOf(0, 3), attrless, (x) => rl.cast(x, "int32"), {
    values: ["uniform"],
    domains: [{ low: -99, high: 99 }],
    discrete: true,
  }),
  onShape("cast", shapeOf(0, 3), attrless, (x) => rl.cast(x, "bool"), { discrete: true }),
  onShape("cast", shapeOf(0, 3), attrless, (x) => rl.mul(x, 0.5), {
    domains: [{ integers: true, low: -99, high: 99 }],
  }),
  onShape(
    "dropout",
    shapeOf(0, 4),
    () => fc.tuple(fc.constantFrom(0.1, 0.5, 0.9), fc.nat({ max: 99 })),
    (x, [p, seed]) => rl.dropout(x, { p, generator: new rl.Generator(seed) }),
  ),
];

/** [extent, index count] with indices below the extent. */
const indexed = fc.tuple(shapeOf(1, 3), fc.nat({ max: 20 }), fc.nat()).map(([raw, count, pick]) => {
  const shape = raw.map((n) => Math.max(n, 1));
  const dim = pick % shape.length;
  return { shape, count, dim, with: (n: number) => shape.map((m, d) => (d === dim ? n : m)) };
});
const below = (n: number): Domain => ({ integers: true, low: 0, high: n - 1 });

const indexing: readonly Draw[] = [
  {
    op: "takeRows",
    values: every,
    calls: indexed.map(({ shape, count, dim }) => ({
      how: `dim ${dim}`,
      f: (x, index) => rl.indexSelect(x, dim, index),
      shapes: [shape, [count]],
      domains: [{}, below(shape[dim])],
    })),
  },
  {
    op: "addRows",
    values: finite,
    tolerance: 1e-5,
    calls: indexed.map(({ shape, count, dim, with: extended }) => ({
      how: `dim ${dim}`,
      f: (x, index, src) => rl.indexAdd(x, dim, index, src),
      shapes: [shape, [count], extended(count)],
      domains: [{}, below(shape[dim]), {}],
    })),
  },
  {
    op: "gather",
    values: every,
    calls: indexed.map(({ shape, count, dim, with: extended }) => ({
      how: `dim ${dim}`,
      f: (x, index) => rl.gather(x, dim, index),
      shapes: [shape, extended(count)],
      domains: [{}, below(shape[dim])],
    })),
  },
  {
    op: "scatter",
    values: every,
    calls: indexed.map(({ shape, count, dim, with: extended }) => ({
      how: `dim ${dim}`,
      f: (x, index, src) => rl.scatter(x, dim, index, src),
      shapes: [shape, extended(count), extended(count)],
      domains: [{}, below(shape[dim]), {}],
    })),
  },
  {
    op: "scatterAdd",
    values: finite,
    tolerance: 1e-5,
    calls: indexed.map(({ shape, count, dim, with: extended }) => ({
      how: `dim ${dim}`,
      f: (x, index, src) => rl.scatterAdd(x, dim, index, src),
      shapes: [shape, extended(count), extended(count)],
      domains: [{}, below(shape[dim]), {}],
    })),
  },
];

const side = fc.oneof(fc.constant(0), small, fc.integer({ min: 5, max: 40 }));

const products: readonly Draw[] = [
  {
    op: "matmul",
    values: finite,
    calls: fc.tuple(side, side, side, fc.array(small, { maxLength: 2 })).chain(([m, k, n, batch]) =>
      fc.tuple(partnerOf(batch), fc.boolean()).map(([other, swap]): Drawn => {
        const batches = swap ? [other, batch] : [batch, other];
        const shapes = [
          [...batches[0], m, k],
          [...batches[1], k, n],
        ];
        return { how: "", f: rl.matmul, shapes };
      }),
    ),
  },
  {
    op: "linear",
    values: moderate,
    calls: fc.tuple(shapeOf(0, 2), side, side).map(([lead, k, n]) => ({
      how: "",
      f: (x, w, b) => rl.linear(x, w, b),
      shapes: [[...lead, k], [n, k], [n]],
    })),
  },
  {
    op: "linearActivated",
    values: moderate,
    calls: fc
      .tuple(side, side, side, fc.constantFrom("relu", "leakyRelu", "sigmoid", "tanh"))
      .map(([m, k, n, activation]) => ({
        how: activation,
        f: (x, w, b) => rl.linear(x, w, b, { activation }),
        shapes: [[m, k], [n, k], [n]],
      })),
  },
  ...[false, true].map((masked) => ({
    op: masked ? "attentionMasked" : "attention",
    values: moderate,
    tolerance: 1e-5,
    calls: fc
      .tuple(fc.array(small, { maxLength: 2 }), side, side, small, small, fc.boolean())
      .map(([batch, queries, keys, d, e, isCausal]): Drawn => ({
        how: `isCausal ${isCausal}`,
        f: (q, k, v, mask) => rl.scaledDotProductAttention(q, k, v, { mask, isCausal }),
        shapes: [
          [...batch, queries, d],
          [...batch, keys, d],
          [...batch, keys, e],
          ...(masked ? [[queries, keys]] : []),
        ],
        domains: [{}, {}, {}, { booleans: true }],
      })),
  })),
];

interface Geometry {
  n: number;
  c: number;
  o: number;
  groups: number;
  size: [number, number];
  kernel: [number, number];
  stride: [number, number];
  padding: [number, number];
  dilation: [number, number];
}
const both = (min: number, max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
const geometry: fc.Arbitrary<Geometry> = fc.record({
  n: fc.nat({ max: 3 }),
  c: small,
  o: small,
  groups: fc.constantFrom(1, 1, 2, 4),
  size: both(1, 12),
  kernel: both(1, 4),
  stride: both(1, 3),
  padding: both(0, 2),
  dilation: both(1, 2),
});

const windows: readonly Draw[] = [
  {
    op: "conv2d",
    values: finite,
    calls: fc.tuple(geometry, fc.boolean()).map(([g, bias]) => ({
      how: JSON.stringify(g),
      f: (x, w, b) => rl.conv2d(x, w, bias ? b : null, g),
      shapes: [
        [g.n, g.c * g.groups, ...g.size],
        [g.o * g.groups, g.c, ...g.kernel],
        ...(bias ? [[g.o * g.groups]] : []),
      ],
    })),
  },
  {
    op: "conv2dActivated",
    values: moderate,
    calls: fc
      .tuple(geometry, fc.constantFrom("relu", "leakyRelu", "sigmoid", "tanh"))
      .map(([g, activation]) => ({
        how: `${activation} ${JSON.stringify(g)}`,
        f: (x, w, b) => rl.conv2d(x, w, b, { ...g, activation }),
        shapes: [
          [g.n, g.c * g.groups, ...g.size],
          [g.o * g.groups, g.c, ...g.kernel],
          [g.o * g.groups],
        ],
      })),
  },
  {
    op: "conv2d",
    values: moderate,
    calls: fc.tuple(geometry, fc.boolean()).map(([g, wide]) => ({
      how: `${wide ? "3x3, wide" : "depthwise"}, padding ${g.padding}, stride ${g.stride}`,
      f: (x, w) =>
        rl.conv2d(x, w, null, { padding: g.padding, stride: g.stride, groups: wide ? 1 : g.c }),
      shapes: wide
        ? [
            [g.n, 8, 12, g.size[1] + 3],
            [16, 8, 3, 3],
          ]
        : [
            [g.n, g.c, g.size[0] + 3, g.size[1] + 3],
            [g.c * g.o, 1, 3, 3],
          ],
    })),
  },
  {
    op: "convTranspose2d",
    values: moderate,
    calls: geometry.map((g) => ({
      how: JSON.stringify(g),
      f: (x, w, b) => rl.convTranspose2d(x, w, b, g),
      shapes: [
        [g.n, g.c * g.groups, ...g.size],
        [g.c * g.groups, g.o, ...g.kernel],
        [g.o * g.groups],
      ],
    })),
  },
  {
    op: "maxPool2dActivated",
    values: [...moderate, "special", "huge"],
    calls: fc.tuple(geometry, fc.boolean()).map(([g, ceilMode]) => ({
      how: JSON.stringify({ ...g, ceilMode }),
      f: (x) => rl.maxPool2d(x, g.kernel, { ...g, ceilMode, activation: "relu" }),
      shapes: [[g.n, g.c, ...g.size]],
    })),
  },
  {
    op: "maxPool2d",
    values: [...moderate, "special", "huge"],
    calls: fc.tuple(geometry, fc.boolean()).map(([g, ceilMode]) => ({
      how: JSON.stringify({ ...g, ceilMode }),
      f: (x) => rl.maxPool2d(x, g.kernel, { ...g, ceilMode }),
      shapes: [[g.n, g.c, ...g.size]],
    })),
  },
  {
    op: "avgPool2d",
    values: finite,
    calls: fc.tuple(geometry, fc.boolean(), fc.boolean()).map(([g, ceilMode, countIncludePad]) => ({
      how: JSON.stringify({ ...g, ceilMode, countIncludePad }),
      f: (x) =>
        rl.avgPool2d(x, g.kernel, {
          stride: g.stride,
          padding: g.padding,
          ceilMode,
          countIncludePad,
        }),
      shapes: [[g.n, g.c, ...g.size]],
    })),
  },
  {
    op: "resample",
    values: finite,
    calls: fc
      .tuple(
        geometry,
        both(1, 9),
        fc.constantFrom("adaptive", "nearest", "linear", "bilinear", "corners"),
      )
      .map(([g, size, how]) => ({
        how: `${how} to ${size}`,
        f: (x) => {
          if (how === "adaptive") return rl.adaptiveAvgPool2d(x, size);
          if (how === "nearest") return rl.upsample(x, { size });
          if (how === "linear")
            return rl.upsample(rl.flatten(x, 0, 1), { size: size[0], mode: how });
          return rl.upsample(x, { size, mode: "bilinear", alignCorners: how === "corners" });
        },
        shapes: [[g.n, g.c, ...g.size]],
      })),
  },
];

const norms: readonly Draw[] = [
  {
    op: "layerNorm",
    values: moderate,
    tolerance: 4e-5,
    calls: shapeOf(1, 3).chain((shape) =>
      fc
        .tuple(fc.integer({ min: 1, max: shape.length }), fc.boolean(), fc.boolean())
        .map(([count, affine, centred]): Drawn => {
          const last = shape.slice(-count);
          return {
            how: `last ${count}, affine ${affine}, centred ${centred}`,
            f: (x, weight, bias) =>
              centred
                ? rl.layerNorm(x, last, { weight, bias, eps: 1e-2 })
                : rl.rmsNorm(x, last, { weight, eps: 1e-2 }),
            shapes: affine ? [shape, last, ...(centred ? [last] : [])] : [shape],
          };
        }),
    ),
  },
  {
    op: "layerNormResidual",
    values: moderate,
    tolerance: 4e-5,
    calls: fc.tuple(shapeOf(1, 3), fc.boolean(), fc.boolean()).map(([shape, affine, centred]) => {
      const last = shape.slice(-1);
      return {
        how: `affine ${affine}, centred ${centred}`,
        f: (x, residual, weight, bias) =>
          centred
            ? rl.layerNorm(x, last, { residual, weight, bias, eps: 1e-2 })
            : rl.rmsNorm(x, last, { residual, weight, eps: 1e-2 }),
        shapes: affine ? [shape, shape, last, ...(centred ? [last] : [])] : [shape, shape],
      };
    }),
  },
  {
    op: "layerNorm",
    values: moderate,
    tolerance: 4e-5,
    calls: fc.tuple(small, small, small, shapeOf(0, 2)).map(([n, groups, per, tail]) => ({
      how: `groupNorm of ${groups}`,
      f: (x, weight, bias) => rl.groupNorm(x, groups, { weight, bias, eps: 1e-2 }),
      shapes: [[n, groups * per, ...tail], [groups * per], [groups * per]],
    })),
  },
  {
    op: "batchNorm",
    values: moderate,
    tolerance: 4e-5,
    calls: fc
      .tuple(small, small, fc.array(small, { maxLength: 2 }), fc.boolean())
      .map(([n, c, tail, training]) => ({
        how: `training ${training}`,
        f: (x, weight, bias, runningMean, runningVar) =>
          training
            ? rl.batchNorm(x, { weight, bias, training, eps: 1e-2 })
            : rl.batchNorm(x, { weight, bias, runningMean, runningVar }),
        shapes: [[n + 1, c, ...tail], [c], [c], ...(training ? [] : [[c], [c]])],
        domains: [{}, {}, {}, {}, { low: 0.2, high: 3 }],
      })),
  },
];

const losses: readonly Draw[] = [
  {
    op: "crossEntropy",
    values: moderate,
    calls: fc
      .tuple(
        extent,
        small,
        fc.array(small, { maxLength: 2 }),
        fc.constantFrom("mean", "sum", "none"),
      )
      .map(([n, c, tail, reduction]) => ({
        how: reduction,
        f: (x, t) =>
          rl.crossEntropy(x, t, { reduction: reduction as rl.Reduction, ignoreIndex: 1 }),
        shapes: [
          [n, c, ...tail],
          [n, ...tail],
        ],
        domains: [{ low: -20, high: 20 }, below(c)],
      })),
  },
  {
    op: "mse",
    values: moderate,
    calls: fc.tuple(shapeOf(0, 3), fc.constantFrom("mean", "sum")).map(([s, reduction]) => ({
      how: reduction,
      f: (x, t) => rl.mseLoss(x, t, { reduction: reduction as rl.Reduction }),
      shapes: [s, s],
    })),
  },
  {
    op: "bceLoss",
    values: ["uniform"],
    tolerance: 2e-5,
    calls: fc
      .tuple(shapeOf(0, 3), fc.constantFrom("mean", "sum", "none"))
      .map(([s, reduction]) => ({
        how: reduction,
        f: (x, t) => rl.bceLoss(x, t, { reduction: reduction as rl.Reduction }),
        shapes: [s, s],
        domains: [
          { low: 0.01, high: 0.99 },
          { low: 0, high: 1 },
        ],
      })),
  },
];

const cells = [
  { op: "rnn", gates: 1, run: rl.rnn },
  { op: "lstm", gates: 4, run: rl.lstm },
  { op: "gru", gates: 3, run: rl.gru },
] as const;
const recurrent: readonly Draw[] = cells.map(({ op, gates, run }) => ({
  op,
  values: moderate,
  tolerance: 2e-5,
  calls: fc
    .tuple(small, small, small, small, fc.boolean())
    .map(([steps, n, input, hidden, bias]) => {
      return {
        how: "",
        f: (x, weightIh, weightHh, biasIh, biasHh) =>
          run(x, bias ? { weightIh, weightHh, biasIh, biasHh } : { weightIh, weightHh }).output,
        shapes: [
          [steps, n, input],
          [gates * hidden, input],
          [gates * hidden, hidden],
          ...(bias ? [[gates * hidden], [gates * hidden]] : []),
        ],
      };
    }),
}));

export const draws: readonly Draw[] = [
  ...reductions,
  ...movement,
  ...indexing,
  ...products,
  ...windows,
  ...norms,
  ...losses,
  ...recurrent,
];
