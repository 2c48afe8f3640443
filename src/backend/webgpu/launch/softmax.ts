/** Kinds `softmax`, `softmaxGrad`, `crossEntropy` and `crossEntropyGrad`: a workgroup for each row. */
import type { Kernel } from "../../backend.ts";
import { ValueError } from "../../../errors.ts";
import { around } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";

/** Declares where the group's line begins and how far apart its elements are. */
const line = (array: string): string =>
  `(group / p.inner) * p.n * p.inner + group % p.inner + p.${array}_at`;

/** Σ of an expression of `at`, the place in the first array, over the group's line. */
const total = (into: string, expression: string): string => `  var ${into}_own = 0.0;
  for (var k = lane; k < p.n; k += 64u) {
    ${into}_own += ${expression};
  }
  let ${into} = group_sum(lane, ${into}_own);`;

const largest = `  var top_own = -infinity();
  for (var k = lane; k < p.n; k += 64u) { top_own = f_max(top_own, x[x_i + k * p.inner]); }
  let top = group_max(lane, top_own);`;

const isLog = (kernel: Kernel): boolean => kernel.wasm.startsWith("log_");

export const softmax: Launcher = (rt, kernel, [x], [y], attrs) => {
  const { outer, n, inner } = around(y, attrs.dim as number);
  const log = isLog(kernel);
  if (y.size === 0) return;
  rt.run({
    key: kernel.wasm,
    reads: { x: rt.dense(x) },
    writes: { y },
    u32: { n, inner },
    groups: outer * inner,
    code: () => `  let x_i = ${line("x")};
  let y_i = ${line("y")};
${largest}
${total("sum", "f_exp(x[x_i + k * p.inner] - top)")}
${log ? "  let log_sum = f_log(sum);" : ""}
  for (var k = lane; k < p.n; k += 64u) {
    let z = x[x_i + k * p.inner] - top;
    y[y_i + k * p.inner] = ${log ? "z - log_sum" : "f_div(f_exp(z), sum)"};
  }`,
  });
};

/** y, dy → dx */
export const softmaxGrad: Launcher = (rt, kernel, [y, dy], [dx], attrs) => {
  const { outer, n, inner } = around(dx, attrs.dim as number);
  const log = isLog(kernel);
  if (dx.size === 0) return;
  rt.run({
    key: kernel.wasm,
    reads: { y: rt.dense(y), dy: rt.dense(dy) },
    writes: { dx },
    u32: { n, inner },
    groups: outer * inner,
    code: () => `  let y_i = ${line("y")};
  let dy_i = ${line("dy")};
  let dx_i = ${line("dx")};
${total("sum", log ? "dy[dy_i + k * p.inner]" : "y[y_i + k * p.inner] * dy[dy_i + k * p.inner]")}
  for (var k = lane; k < p.n; k += 64u) {
    let v = y[y_i + k * p.inner];
    let d = dy[dy_i + k * p.inner];
    dx[dx_i + k * p.inner] = ${log ? "d - f_exp(v) * sum" : "v * (d - sum)"};
  }`,
  });
};

/** logits [n, c], target [n] → loss, log Σ exp of each row, rows that count */
export const crossEntropy: Launcher = (rt, _kernel, [logits, target], outputs, attrs) => {
  const [loss, logSumExp, count] = outputs;
  const [rows, c] = logits.shape;
  const ignoreIndex = attrs.ignoreIndex as number;
  const targets = rt.dense(target);
  rt.verify(targets, {
    label: "crossEntropy",
    n: c,
    except: ignoreIndex,
    explain: (label, found, at, n, except) =>
      new ValueError(
        `${label}: target[${at}] is ${found}, outside [0, ${n}) and not ignoreIndex ${except}`,
      ),
  });
  const each = attrs.reduction === "none";
  const losses = each ? loss : rt.scratch(rows, "float32");
  rt.run({
    key: "crossEntropy",
    reads: { x: rt.dense(logits), targets },
    writes: { losses, lse: logSumExp },
    u32: { n: c, inner: 1 },
    i32: { ignoreIndex },
    groups: rows,
    code: () => `  let x_i = ${line("x")};
${largest}
${total("sum", "f_exp(x[x_i + k] - top)")}
  if (lane > 0u) { return; }
  var whole = top + f_log(sum);
  if (is_inf(top)) { whole = nan(); }
  lse[p.lse_at + group] = whole;
  let index = targets[p.targets_at + group];
  var value = 0.0;
  if (index != p.ignoreIndex) {
    value = whole - x[x_i + u32(clamp(index, 0, i32(p.n) - 1))];
  }
  losses[p.losses_at + group] = value;`,
  });
  rt.run({
    key: each ? "crossEntropy count" : "crossEntropy total",
    reads: each ? { targets } : { targets, losses },
    writes: each ? { count } : { count, loss },
    u32: { n: rows, mean: Number(attrs.reduction === "mean") },
    i32: { ignoreIndex },
    groups: 1,
    code: () => `${total("counted", "f32(targets[p.targets_at + k] != p.ignoreIndex)")}
${each ? "" : total("sum", "losses[p.losses_at + k]")}
  if (lane > 0u) { return; }
  count[p.count_at] = counted;
${each ? "" : "  loss[p.loss_at] = select(sum, f_div(sum, counted), p.mean == 1u);"}`,
  });
};

/** logits, target, logSumExp, count, dloss → dlogits */
export const crossEntropyGrad: Launcher = (rt, _kernel, inputs, [dlogits], attrs) => {
  const [x, targets, lse, count, dloss] = inputs.map((view) => rt.dense(view));
  const each = attrs.reduction === "none";
  const mean = attrs.reduction === "mean";
  rt.run({
    key: `crossEntropyGrad ${String(attrs.reduction)}`,
    reads: mean ? { x, targets, lse, dloss, count } : { x, targets, lse, dloss },
    writes: { dlogits },
    u32: { c: x.shape[1] },
    i32: { ignoreIndex: attrs.ignoreIndex as number },
    items: dlogits.size,
    code: () => `  let row = i / p.c;
  let index = targets[p.targets_at + row];
  let given = dloss[p.dloss_at${each ? " + row" : ""}];
  let scale = ${mean ? "f_div(given, count[p.count_at])" : "given"};
  let probability = f_exp(x[p.x_at + i] - lse[p.lse_at + row]);
  let hit = index == i32(i % p.c);
  let slope = scale * (probability - f32(hit));
  dlogits[p.dlogits_at + i] = select(slope, 0.0, index == p.ignoreIndex);`,
  });
};
