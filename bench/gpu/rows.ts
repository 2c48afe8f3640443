/** What is measured on a GPU: larger than on a CPU where a GPU would otherwise wait for the next dispatch. */
import type { Row } from "../row.ts";
import { convRows } from "../rows/conv.ts";
import { gemmRows } from "../rows/gemm.ts";
import { stepRows } from "../rows/steps.ts";
import { trainingRows } from "../rows/training.ts";

const squares = (["nn", "nt", "tn"] as const).flatMap((form) =>
  [4096, 8192].map((n): Row => ({
    ...gemmRows[0],
    name: `${form} ${n}x${n}x${n}`,
    work: { kind: "gemm", form, m: n, n, k: n },
    amount: 2 * n ** 3,
    long: n > 4096 ? true : undefined,
  })),
);

/** In bytes moved, so that it can be held against the copy. */
const inBytes = (row: Row): Row =>
  typeof row.limit === "object" ? { ...row, unit: "GB/s", amount: row.limit.bytes } : row;

const perSecond = (row: Row): Row => ({ ...row, unit: "steps/s", amount: 1 });

export const gpuRows: readonly Row[] = [
  ...trainingRows.map(perSecond),
  ...gemmRows,
  ...squares,
  ...convRows,
  ...stepRows.map(inBytes),
];

/** Is the work small enough for a software adapter, which is there to show that it runs? */
export function isSmall({ work }: Row): boolean {
  switch (work.kind) {
    case "gemm":
      return work.m * work.n * work.k <= 2 ** 24;
    case "step":
      return work.parameters <= 1e5;
    case "train":
      return work.model.name === "layers";
    default:
      return false;
  }
}
