/** Kind `resample`: a banded matrix along a dimension. */
import { around } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";

/** x, starts, offsets, weights → y */
export const resample: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  const [x, starts, offsets, weights] = inputs.map((view) => rt.dense(view));
  const { n, inner } = around(x, attrs.dim as number);
  const { n: m } = around(y, attrs.dim as number);
  rt.run({
    key: "resample",
    reads: { x, starts, offsets, weights },
    writes: { y },
    u32: { n, m, inner },
    items: y.size,
    code: () => `  let row = i / p.inner;
  let j = row % p.m;
  let first = (row / p.m) * p.n + u32(starts[p.starts_at + j]);
  let begin = u32(offsets[p.offsets_at + j]);
  let count = u32(offsets[p.offsets_at + j + 1u]) - begin;
  var total = 0.0;
  for (var k = 0u; k < count; k++) {
    total += x[p.x_at + (first + k) * p.inner + i % p.inner] * weights[p.weights_at + begin + k];
  }
  y[p.y_at + i] = total;`,
  });
};
