/** Launchers of kinds `mse` and `mseGrad`. */
import type { Launcher } from "../runtime.ts";
import { mean, reduceRow, sum } from "./reduce.ts";

/** Elements a thread takes at a time. */
const GRAIN = 32768;

/** a, b → the sum or mean of (a − b)² */
export const mse: Launcher = (rt, _kernel, [a, b], [y], attrs) => {
  const squares = rt.scratch(4 * a.size);
  if (a.size > 0) {
    rt.parallel("squared_difference_f32", a.size, GRAIN, [rt.dense(a), rt.dense(b), squares]);
  }
  reduceRow(rt, attrs.reduction === "mean" ? mean : sum, squares, a.size, y);
};

/** a, b, dy → da */
export const mseGrad: Launcher = (rt, _kernel, [a, b, dy], [da], attrs) => {
  if (da.size === 0) return;
  const count = attrs.reduction === "mean" ? da.size : 1;
  const args = [rt.dense(a), rt.dense(b), rt.pointer(dy), rt.pointer(da), count];
  rt.parallel("mse_grad_f32", da.size, GRAIN, args);
};
