/** Cases of ops/elementwise: values, broadcasting, nothing at all, kinks, and what is not a number. */
import type { InputSpec, OperationRow } from "../operation-record.ts";

const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -2.5, 1e4, -1e4];
/** Against each other, by broadcasting. */
const grid = [NaN, Infinity, -Infinity, 0, -2, 3];

/** Where an operation is defined, and its gradient moderate. */
const domains: Readonly<Record<string, readonly [number, number]>> = {
  log: [0.1, 4],
  log2: [0.1, 4],
  log10: [0.1, 4],
  log1p: [-0.75, 3],
  sqrt: [0.1, 4],
  rsqrt: [0.1, 4],
  reciprocal: [0.25, 3],
  tan: [-1.25, 1.25],
};

const unary =
  "neg abs sign exp log log2 log10 log1p expm1 sqrt rsqrt square reciprocal sin cos tan tanh sigmoid log_sigmoid erf relu silu floor ceil round trunc".split(
    " ",
  );

function unaryRows(op: string): OperationRow[] {
  const [low, high] = domains[op] ?? [-3, 3];
  const of = (label: string, shape: number[]): OperationRow => {
    return { op, label, inputs: { a: { shape, low, high } } };
  };
  return [
    of("2x3", [2, 3]),
    of("scalar", []),
    of("37", [37]),
    { ...of("empty", [0, 3]), edge: true },
    {
      op,
      label: "special",
      inputs: { a: { data: special } },
      edge: true,
      grads_informative: true,
    },
    {
      op,
      label: "zero",
      inputs: { a: { data: [-1, -0.5, 0, 0.5, 1.5, 2.5] } },
      edge: true,
      grads_informative: op in domains,
    },
  ];
}

function binaryRows(op: string): OperationRow[] {
  // A power needs a base above 0, a quotient a divisor away from it.
  const a = (shape: number[]): InputSpec => (op === "pow" ? { shape, low: 0.25, high: 3 } : shape);
  const b = (shape: number[]): InputSpec => (op === "div" ? { shape, low: 0.5, high: 3 } : shape);
  const of = (label: string, left: number[], right: number[]): OperationRow => {
    return { op, label, inputs: { a: a(left), b: b(right) } };
  };
  return [
    of("2x3_2x3", [2, 3], [2, 3]),
    of("broadcast", [2, 1, 4], [3, 1]),
    of("scalar_5", [], [5]),
    of("5_scalar", [5], []),
    of("37_37", [37], [37]),
    { ...of("empty", [0, 3], [1, 3]), edge: true },
    {
      op,
      label: "special",
      inputs: { a: { shape: [6, 1], data: grid }, b: { shape: [1, 6], data: grid } },
      edge: true,
      grads_informative: true,
    },
  ];
}

const ties: OperationRow[] = ["maximum", "minimum"].map((op) => ({
  op,
  label: "ties",
  inputs: { a: { data: [1, 2, 2, -0] }, b: { data: [1, 3, 2, 0] } },
  edge: true,
}));

/** Operations of one tensor with attributes: values, and the special ones. */
function withAttrs(
  op: string,
  label: string,
  attrs: OperationRow["attrs"],
  domain: InputSpec = [2, 5],
): OperationRow[] {
  const informative = { edge: true, grads_informative: true };
  return [
    { op, label, attrs, inputs: { a: domain } },
    { op, label: `${label}_special`, attrs, inputs: { a: { data: special } }, ...informative },
  ];
}

const positive: InputSpec = { shape: [2, 5], low: 0.25, high: 3 };

export const elementwise: readonly OperationRow[] = [
  ...["add", "sub", "mul", "div", "pow", "maximum", "minimum"].flatMap(binaryRows),
  ...ties,
  ...unary.flatMap(unaryRows),
  ...withAttrs("add_scalar", "2.5", { value: 2.5 }),
  ...withAttrs("mul_scalar", "-1.5", { value: -1.5 }),
  ...withAttrs("rsub_scalar", "2", { value: 2 }),
  ...withAttrs("rdiv_scalar", "2", { value: 2 }, positive),
  ...withAttrs("pow_scalar", "3", { exponent: 3 }),
  ...withAttrs("pow_scalar", "0.5", { exponent: 0.5 }, positive),
  ...withAttrs("pow_scalar", "-2", { exponent: -2 }, positive),
  { op: "pow_scalar", label: "0", attrs: { exponent: 0 }, inputs: { a: [2, 3] } },
  ...withAttrs("scalar_pow", "2", { base: 2 }),
  ...withAttrs("leaky_relu", "0.01", { negative_slope: 0.01 }),
  ...withAttrs("leaky_relu", "0.2", { negative_slope: 0.2 }),
  ...withAttrs("elu", "1", { alpha: 1 }),
  ...withAttrs("elu", "0.5", { alpha: 0.5 }),
  ...withAttrs("gelu", "none", { approximate: "none" }),
  ...withAttrs("gelu", "tanh", { approximate: "tanh" }),
  ...withAttrs("softplus", "default", { beta: 1, threshold: 20 }),
  ...withAttrs("softplus", "beta_2_threshold_1", { beta: 2, threshold: 1 }),
  ...withAttrs("clamp", "both", { min: -0.5, max: 0.75 }),
  ...withAttrs("clamp", "min", { min: 0 }),
  ...withAttrs("clamp", "max", { max: 1 }),
  {
    op: "clamp",
    label: "at_the_bounds",
    attrs: { min: -1, max: 2 },
    inputs: { a: { data: [-1.5, -1, 0, 2, 2.5] } },
    edge: true,
  },
  ...[0, 0.25, 0.75, 1].map((weight): OperationRow => {
    return {
      op: "lerp",
      label: String(weight),
      attrs: { weight },
      inputs: { a: [2, 3], b: [2, 3] },
    };
  }),
  {
    op: "where",
    label: "broadcast",
    inputs: { condition: { shape: [2, 3], booleans: true }, a: [3], b: [2, 1] },
  },
  {
    op: "where",
    label: "nan_not_selected",
    inputs: {
      condition: { data: [true, false, true], booleans: true },
      a: { data: [1, NaN, 2] },
      b: { data: [Infinity, 3, NaN] },
    },
    edge: true,
  },
  ...[0, -Infinity].map((value): OperationRow => ({
    op: "masked_fill",
    label: String(value),
    attrs: { value },
    inputs: { a: [2, 3], mask: { shape: [2, 3], booleans: true } },
  })),
];
