/** Cases of ops/shape: nothing is computed, so every value is exact. */
import type { InputSpec, OperationRow } from "../operation-record.ts";

const one = (
  op: string,
  label: string,
  attrs: OperationRow["attrs"],
  shape: readonly number[] = [2, 3, 4],
): OperationRow => ({ op, label, attrs, inputs: { a: shape } });

const index = (shape: readonly number[], high: number): InputSpec => {
  return { shape, integers: true, low: 0, high };
};

export const shape: readonly OperationRow[] = [
  one("transpose", "01", { dim0: 0, dim1: 1 }),
  one("transpose", "negative", { dim0: -1, dim1: 0 }),
  one("permute", "201", { dims: [2, 0, 1] }),
  one("reshape", "6x4", { shape: [6, 4] }),
  one("reshape", "flat", { shape: [-1] }),
  one("expand", "3x4", { shape: [3, 4] }, [3, 1]),
  one("expand", "new_dimension", { shape: [3, -1] }, [2]),
  one("squeeze", "all", {}, [1, 2, 1]),
  one("squeeze", "0", { dim: 0 }, [1, 2, 1]),
  one("squeeze", "not_1", { dim: 1 }, [1, 2, 1]),
  one("unsqueeze", "0", { dim: 0 }, [2, 3]),
  one("unsqueeze", "last", { dim: -1 }, [2, 3]),
  one("flip", "0", { dims: [0] }),
  one("flip", "several", { dims: [1, -1] }),
  one("roll", "two", { shifts: [1, -1], dims: [0, 2] }),
  one("tile", "2x3", { repeats: [2, 3] }, [2, 1]),
  one("slice", "steps", {
    slices: [
      [0, 1, 1],
      [1, 3, 1],
      [0, 4, 2],
    ],
  }),
  one("slice", "negative", {
    slices: [
      [null, null, null],
      [-2, null, null],
      [null, -1, null],
    ],
  }),
  one("slice", "nothing", { slices: [[1, 1, null]] }),
  ...[0, 1, -1].map((dim): OperationRow => {
    return { op: "stack", label: `dim_${dim}`, attrs: { dim }, inputs: { t0: [2, 3], t1: [2, 3] } };
  }),
  {
    op: "concat",
    label: "0_with_nothing",
    attrs: { dim: 0 },
    inputs: { t0: [1, 3], t1: [2, 3], t2: [0, 3] },
  },
  { op: "concat", label: "last", attrs: { dim: -1 }, inputs: { t0: [2, 1], t1: [2, 3] } },
  one("pad", "constant", { pad: [1, 2, 0, 1], mode: "constant", value: 1.5 }),
  one("pad", "crop", { pad: [-1, 1], mode: "constant", value: 0 }),
  ...["reflect", "replicate", "circular"].map((mode) => {
    return one("pad", mode, { pad: [2, 1, 1, 2], mode, value: 0 }, [1, 2, 3, 4]);
  }),
  one("split", "sizes", { sizes: [1, 3, 2], dim: 1 }, [2, 6]),
  one("split", "size", { sizes: 2, dim: 0 }, [5, 2]),
  one("chunk", "3", { chunks: 3, dim: 0 }, [7, 2]),
  ...[0, 1].map((dim): OperationRow => ({
    op: "gather",
    label: `dim_${dim}`,
    attrs: { dim },
    inputs: { a: [3, 3], index: index([3, 2], 3) },
  })),
  ...[0, -1].map((dim): OperationRow => ({
    op: "index_select",
    label: `dim_${dim}`,
    attrs: { dim },
    inputs: { a: [3, 2, 3], index: index([5], 3) },
  })),
  { op: "embedding", label: "2x3", inputs: { index: index([2, 3], 5), weight: [5, 3] } },
  {
    op: "embedding",
    label: "padding",
    attrs: { padding_idx: 1 },
    inputs: { index: { data: [1, 0, 1, 2], integers: true }, weight: [3, 2] },
  },
  ...[0, 1].map((dim): OperationRow => ({
    op: "scatter_add",
    label: `dim_${dim}`,
    attrs: { dim },
    inputs: { a: [3, 3], index: index([3, 3], 3), src: [3, 3] },
  })),
  {
    op: "index_add",
    label: "0",
    attrs: { dim: 0 },
    inputs: { a: [3, 2], index: index([4], 3), src: [4, 2] },
  },
  { op: "one_hot", label: "4", attrs: { num_classes: 4 }, inputs: { index: index([2, 3], 4) } },
  ...["tril", "triu"].flatMap((op) =>
    [0, 1, -1].map((diagonal) => one(op, `diagonal_${diagonal}`, { diagonal }, [2, 3, 4])),
  ),
];
