/** Launchers of kinds `layerNorm` and `layerNormGrad`. */
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const WORK = 8192;

/** x, weight?, bias? → y */
export const layerNorm: Launcher = (rt, _kernel, [x, weight, bias], [y], attrs) => {
  if (y.size === 0) return;
  const n = attrs.n as number;
  const [w, b] = [weight, bias].map((view) => (view === undefined ? 0 : rt.dense(view)));
  const args = [rt.dense(x), w, b, rt.pointer(y), n, Number(attrs.centre), attrs.eps as number];
  rt.parallel("layer_norm_f32", y.size / n, Math.ceil(WORK / n), args);
};

/** x, dy, weight? → dx, and with a weight dweight, dbias [n] */
export const layerNormGrad: Launcher = (rt, _kernel, inputs, outputs, attrs) => {
  const [x, dy, weight] = inputs;
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
  const args = [rt.dense(x), rt.dense(dy), weight === undefined ? 0 : rt.dense(weight)];
  args.push(rt.pointer(dx), partial[0] ?? 0, partial[1] ?? 0);
  args.push(rows, n, Number(attrs.centre), attrs.eps as number);
  rt.parallel("layer_norm_grad_f32", blocks, Math.ceil((WORK * blocks) / dx.size), args);
  if (blocks === 1) return;
  sums.forEach((sum, i) => {
    const sumArgs = [partial[i], rt.pointer(sum), blocks, n, blocks, 1];
    rt.parallel("sum_cols_f32", n, Math.ceil(WORK / blocks / 16) * 16, sumArgs);
  });
};
