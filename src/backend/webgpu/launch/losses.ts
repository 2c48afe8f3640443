/** Kinds `mse` and `mseGrad`, and `dropout`. */
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";
import { mean, reduceAll, sum } from "./reduce.ts";

/** a, b → the sum or mean of (a − b)² */
export const mse: Launcher = (rt, _kernel, [a, b], [y], attrs) => {
  const squares = rt.scratch(a.size, "float32");
  rt.run({
    key: "mse",
    reads: { a: rt.dense(a), b: rt.dense(b) },
    writes: { squares },
    items: a.size,
    code: () => `  let apart = a[p.a_at + i] - b[p.b_at + i];
  squares[i] = apart * apart;`,
  });
  reduceAll(rt, attrs.reduction === "mean" ? mean : sum, squares, y);
};

/** a, b, dy → da */
export const mseGrad: Launcher = (rt, _kernel, [a, b, dy], [da], attrs) => {
  rt.run({
    key: "mseGrad",
    reads: { a: rt.dense(a), b: rt.dense(b), dy },
    writes: { da },
    f32: { scale: attrs.reduction === "mean" ? 2 / da.size : 2 },
    items: da.size,
    code: () => "  da[p.da_at + i] = p.scale * dy[p.dy_at] * (a[p.a_at + i] - b[p.b_at + i]);",
  });
};

/** The mask is that of the CPU: the same hash of seed, call and place. */
export const dropout: Launcher = (rt, _kernel, [x], [y], attrs) => {
  const { p, seed, call } = attrs as Record<string, number>;
  const threshold = Math.ceil(p * 2 ** 32);
  if (threshold >= 2 ** 32) {
    fillWith(rt, y, 0);
    return;
  }
  rt.run({
    key: "dropout",
    reads: { x: rt.dense(x) },
    writes: { y },
    u32: { threshold, seed, call },
    f32: { scale: 1 / (1 - p) },
    items: y.size,
    code: () => `  let key = mix_bits(p.seed ^ mix_bits(p.call));
  let keep = mix_bits(i ^ key) >= p.threshold;
  y[p.y_at + i] = select(0.0, x[p.x_at + i] * p.scale, keep);`,
  });
};
