/** Launchers of kinds `softmax`, `softmaxGrad`, `crossEntropy` and `crossEntropyGrad`. */
import { ValueError } from "../../../errors.ts";
import { around } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const WORK = 8192;

export const softmax: Launcher = (rt, kernel, inputs, [y], attrs) => {
  if (y.size === 0) return;
  const { outer, n, inner } = around(y, attrs.dim as number);
  const args = [...inputs.map((view) => rt.dense(view)), rt.pointer(y), n];
  if (inner > 1) args.push(inner);
  const name = `${kernel.wasm}_${inner > 1 ? "cols" : "rows"}_f32`;
  rt.parallel(name, outer * inner, Math.ceil(WORK / n), args);
};

export const crossEntropy: Launcher = (rt, _kernel, [logits, target], outputs, attrs) => {
  const [loss, logSumExp, count] = outputs;
  const [rows, c] = logits.shape;
  const ignoreIndex = attrs.ignoreIndex as number;
  const targets = rt.dense(target);
  rt.verify("find_bad_target", [targets, rows, c, ignoreIndex], (bad) => {
    const found = rt.call("load_i32", targets + 4 * bad);
    return new ValueError(
      `crossEntropy: target[${bad}] is ${found}, outside [0, ${c}) and not ignoreIndex ${ignoreIndex}`,
    );
  });
  const each = attrs.reduction === "none";
  const rowLoss = each ? rt.pointer(loss) : rt.scratch(4 * rows);
  const args = [rt.dense(logits), targets, rowLoss, rt.pointer(logSumExp), c, ignoreIndex];
  rt.parallel("cross_entropy_f32", rows, Math.ceil(WORK / Math.max(c, 16)), args);
  const total = each ? 0 : rt.pointer(loss);
  const mean = attrs.reduction === "mean" ? 1 : 0;
  rt.call(
    "cross_entropy_total_f32",
    rowLoss,
    targets,
    total,
    rt.pointer(count),
    rows,
    ignoreIndex,
    mean,
  );
};

/** The third input, logSumExp, is not read: see assembly/cross-entropy.ts. */
export const crossEntropyGrad: Launcher = (rt, _kernel, inputs, [dlogits], attrs) => {
  const [logits, target, , count, dloss] = inputs;
  if (dlogits.size === 0) return;
  const [rows, c] = logits.shape;
  const args = [
    rt.dense(logits),
    rt.dense(target),
    attrs.reduction === "mean" ? rt.pointer(count) : 0,
    rt.dense(dloss),
    attrs.reduction === "none" ? 1 : 0,
    rt.pointer(dlogits),
    c,
    attrs.ignoreIndex as number,
  ];
  rt.parallel("cross_entropy_grad_f32", rows, Math.ceil(WORK / c), args);
};
