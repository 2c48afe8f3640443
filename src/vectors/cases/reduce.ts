/** Cases of ops/reduce and ops/matmul. */
import type { OperationRow } from "../operation-record.ts";

/** Over everything, one dimension, the last one kept, several, a long row. */
function reductions(op: string, attrs: OperationRow["attrs"] = {}, label = ""): OperationRow[] {
  const of = (name: string, more: OperationRow["attrs"], shape: number[]): OperationRow => {
    return { op, label: label + name, attrs: { ...attrs, ...more }, inputs: { input: shape } };
  };
  return [
    of("all", {}, [2, 3, 4]),
    of("0", { dim: 0 }, [2, 3, 4]),
    of("last_kept", { dim: -1, keepdim: true }, [2, 3, 4]),
    of("0_2", { dim: [0, 2] }, [2, 3, 4]),
    of("long", { dim: 1 }, [3, 37]),
    of("size_1", {}, [1, 1]),
  ];
}

function edge(
  op: string,
  label: string,
  data: readonly number[],
  attrs: OperationRow["attrs"] = {},
  shape: readonly number[] = [data.length],
): OperationRow {
  return { op, label, attrs, inputs: { input: { shape, data } }, edge: true };
}

const nan = [1, NaN, 2];
const informative = (row: OperationRow): OperationRow => ({ ...row, grads_informative: true });

export const reduce: readonly OperationRow[] = [
  ...["sum", "mean", "amax", "amin", "logsumexp"].flatMap((op) => reductions(op)),
  ...["sum", "mean", "amax", "amin", "max", "min"].map((op) => informative(edge(op, "nan", nan))),
  edge("sum", "nothing", [], { dim: 0 }, [0, 3]),
  edge("mean", "nothing", [], { dim: 0 }, [0, 3]),
  informative(edge("sum", "infinities", [Infinity, -Infinity, 1])),
  edge("sum", "cancelling", [1e8, 1, -1e8, 0.5]),
  ...["amax", "amin", "max", "min"].map((op) => edge(op, "ties", [3, 1, 3, 1, 2])),
  ...["max", "min"].map((op) => edge(op, "ties_in_a_row", [3, 1, 3, 1, 2, 1], { dim: 1 }, [2, 3])),
  informative(edge("logsumexp", "minus_infinity", [-Infinity, -Infinity])),
  edge("logsumexp", "one_minus_infinity", [0, -Infinity, 1]),
  ...["max", "min", "argmax", "argmin"].flatMap((op): OperationRow[] => [
    { op, label: "all", inputs: { input: [2, 3, 4] } },
    { op, label: "1", attrs: { dim: 1 }, inputs: { input: [2, 3, 4] } },
    { op, label: "0_kept", attrs: { dim: 0, keepdim: true }, inputs: { input: [2, 3, 4] } },
    { op, label: "scalar", attrs: { dim: 0 }, inputs: { input: [] } },
  ]),
  ...["argmax", "argmin"].map((op) => edge(op, "ties", [3, 1, 3, 1, 2])),
  { op: "prod", label: "all", inputs: { input: [2, 3] } },
  { op: "prod", label: "1", attrs: { dim: 1 }, inputs: { input: [2, 5] } },
  edge("prod", "one_zero", [2, 0, 3, -1]),
  edge("prod", "two_zeros", [2, 0, 3, 0]),
  edge("prod", "nothing", [], {}, [0]),
  ...["var", "std"].flatMap((op) => [
    ...reductions(op, { correction: 1 }, "c1_").filter(({ label }) => label !== "c1_size_1"),
    ...reductions(op, { correction: 0 }, "c0_"),
  ]),
  edge("std", "constant", [2, 2, 2, 2], { correction: 1 }),
  edge("var", "constant", [2, 2, 2, 2], { correction: 1 }),
  { op: "cumsum", label: "0", attrs: { dim: 0 }, inputs: { input: [2, 3, 4] } },
  { op: "cumsum", label: "last", attrs: { dim: -1 }, inputs: { input: [2, 37] } },
  ...[1, 2, 3, 0.5, Infinity].flatMap((ord): OperationRow[] => [
    { op: "norm", label: `${ord}_all`, attrs: { ord }, inputs: { input: [2, 3, 4] } },
    {
      op: "norm",
      label: `${ord}_last_kept`,
      attrs: { ord, dim: -1, keepdim: true },
      inputs: { input: [3, 5] },
    },
  ]),
  edge("norm", "2_zeros", [0, 0, 0], { ord: 2 }),
];

const product = (label: string, a: number[], b: number[]): OperationRow => {
  return { op: "matmul", label, inputs: { a, b } };
};

export const matmul: readonly OperationRow[] = [
  product("2x3_3x4", [2, 3], [3, 4]),
  product("vectors", [5], [5]),
  product("vector_matrix", [3], [3, 4]),
  product("matrix_vector", [2, 3], [3]),
  product("batched", [2, 3, 4], [2, 4, 5]),
  product("broadcast_batches", [2, 1, 3, 4], [3, 4, 2]),
  product("batch_vector", [2, 3, 4], [4]),
  product("tiles_and_tails", [9, 17], [17, 13]),
  { ...product("nothing_inside", [2, 0], [0, 3]), edge: true },
  { ...product("nothing_outside", [0, 3], [3, 2]), edge: true },
  {
    op: "matmul",
    label: "nan_and_infinity",
    inputs: {
      a: { shape: [2, 2], data: [1, NaN, 0, 1] },
      b: { shape: [2, 2], data: [Infinity, 1, 2, 3] },
    },
    edge: true,
    grads_informative: true,
  },
  { op: "linear", label: "2x3", inputs: { input: [2, 3], weight: [4, 3], bias: [4] } },
  { op: "linear", label: "3d", inputs: { input: [2, 5, 3], weight: [4, 3], bias: [4] } },
  { op: "linear", label: "no_bias", inputs: { input: [7, 19], weight: [11, 19] } },
  { op: "outer", label: "3_4", inputs: { a: [3], b: [4] } },
];
