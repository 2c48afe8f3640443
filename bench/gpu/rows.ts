/** What is measured on a GPU: larger than on a CPU where a GPU would otherwise wait for the next dispatch. */
import type { Row } from "../row.ts";
import { convRows } from "../rows/conv.ts";
import { gemmRows } from "../rows/gemm.ts";
import { stepRows } from "../rows/steps.ts";
import { trainingRows } from "../rows/training.ts";
import type { Model, Work } from "../work.ts";

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

/** The row with work that a software adapter does in a moment: the same kernels, every one of them. */
export const tinyOf = (row: Row): Row => ({ ...row, work: tinyWork(row.work) });

function tinyWork(work: Work): Work {
  switch (work.kind) {
    case "gemm": {
      const [m, n, k] = [work.m, work.n, work.k].map((extent) => Math.min(extent, 40));
      return { ...work, m, n, k };
    }
    case "conv": {
      const { c, o, h, groups } = work.shape;
      const few = { n: 2, c: Math.min(c, 8), o: Math.min(o, 8), h: Math.min(h, 12) };
      return { ...work, shape: { ...work.shape, ...few, groups: groups === c ? few.c : groups } };
    }
    case "step":
      return { ...work, parameters: 1000 };
    case "train":
      return { ...work, batch: 2, model: tinyModel(work.model) };
    default:
      return work;
  }
}

function tinyModel(model: Model): Model {
  switch (model.name) {
    case "layers":
      return { ...model, sizes: model.sizes.map((size) => Math.min(size, 16)) };
    case "lstm":
      return { ...model, inputs: 4, hidden: 8, time: 3 };
    case "transformer":
      return { ...model, width: 16, layers: 1, time: 8, vocabulary: 16 };
    default:
      return model;
  }
}
