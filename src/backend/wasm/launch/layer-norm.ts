/** Launchers of kinds `layerNorm` and `layerNormGrad`. */
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const WORK = 8192;

/** x, weight?, bias? → y; with `added` x, residual, weight?, bias? → y, sum */
export const layerNorm: Launcher = (rt, _kernel, inputs, [y, sum], attrs) => {
  if (y.size === 0) return;
  const n = attrs.n as number;
  const [x, ...others] = inputs.map((view) => rt.dense(view));
  const residual = attrs.added === true ? others.shift()! : 0;
  const [weight = 0, bias = 0] = others;
  const outputs = [rt.pointer(y), residual === 0 ? 0 : rt.pointer(sum)];
  const args = [
    x,
    residual,
    weight,
    bias,
    ...outputs,
    n,
    Number(attrs.centre),
    attrs.eps as number,
  ];
  rt.parallel("layer_norm_f32", y.size / n, Math.ceil(WORK / n), args);
};

/** x, dy, weight? → dx, and with a weight dweight, dbias [n]; with `added` x, dy, plus, weight? */
export const layerNormGrad: Launcher = (rt, _kernel, inputs, outputs, attrs) => {
  const [dx, ...sums] = outputs;
  if (dx.size === 0) {
    for (const sum of sums) fillWith(rt, sum, 0);
    return;
  }
  const n = attrs.n as number;
  const rows = dx.size / n;
  const blocks = rt.call("layer_norm_blocks", rows);
  // One block's sums are those of all rows.
  const partial = sums.map((sum) => (blocks > 1 ? rt.scratch(4 * blocks * n) : rt.pointer(sum)));
  const [x, dy, ...others] = inputs.map((view) => rt.dense(view));
  const plus = attrs.added === true ? others.shift()! : 0;
  const [weight = 0] = others;
  const args = [x, dy, plus, weight, rt.pointer(dx), partial[0] ?? 0, partial[1] ?? 0];
  args.push(rows, n, Number(attrs.centre), attrs.eps as number);
  rt.parallel("layer_norm_grad_f32", blocks, Math.ceil((WORK * blocks) / dx.size), args);
  if (blocks === 1) return;
  sums.forEach((sum, i) => {
    const sumArgs = [partial[i], rt.pointer(sum), blocks, n, blocks, 1];
    rt.parallel("sum_cols_f32", n, Math.ceil(WORK / blocks / 16) * 16, sumArgs);
  });
};
