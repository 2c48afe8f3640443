/** Launcher of kind `resample`: a banded matrix along one dimension. */
import { around } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";

/** Multiply-adds a thread takes at a time: 10 µs of work or more. */
const WORK = 8192;

/** x, starts, offsets, weights → y */
export const resample: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  if (y.size === 0) return;
  const dim = attrs.dim as number;
  const { outer, n: m, inner } = around(y, dim);
  const [x, , , weights] = inputs;
  const args = [...inputs.map((view) => rt.dense(view)), rt.pointer(y), x.shape[dim], m, inner];
  const perRow = Math.max(1, (weights.size / m) * inner);
  rt.parallel("resample_f32", outer * m, Math.ceil(WORK / perRow), args);
};
