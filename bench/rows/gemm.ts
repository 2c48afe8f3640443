/** Matrix products: squares, and what linear layers multiply in forward and backward. */
import type { Row } from "../row.ts";

type Form = "nn" | "nt" | "tn";

function gemm(form: Form, m: number, n: number, k: number): Row {
  const large = m * n * k >= 2 ** 30;
  return {
    section: "gemm",
    name: `${form} ${m}x${n}x${k}`,
    work: { kind: "gemm", form, m, n, k },
    unit: "GFLOP/s",
    amount: 2 * m * n * k,
    // A call of theirs takes seconds: large products are compared in one form.
    groups: large && form !== "nn" ? ["roadless"] : ["roadless", "pytorch", "jax-js", "tfjs"],
    limit: "peak",
    long: m * n * k > 2 ** 30 || (large && form !== "nn") ? true : undefined,
  };
}

/** y = x·wᵀ, dx = dy·w, dw = dyᵀ·x of a linear layer, as [rows]x[columns]x[summed]. */
const linear = (batch: number, inputs: number, outputs: number): Row[] => [
  gemm("nt", batch, outputs, inputs),
  gemm("nn", batch, inputs, outputs),
  gemm("tn", outputs, inputs, batch),
];

const squares = (["nn", "nt", "tn"] as const).flatMap((form) =>
  [16, 32, 64, 128, 256, 512, 1024, 2048].map((n) => gemm(form, n, n, n)),
);

export const gemmRows: readonly Row[] = [
  ...squares,
  ...linear(64, 784, 128),
  ...linear(64, 9216, 128),
  ...linear(2048, 128, 512),
];
