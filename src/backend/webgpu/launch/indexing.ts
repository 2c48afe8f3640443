/** Kinds `takeRows`, `gather` and `cumulate`. */
import type { Attrs, View } from "../../backend.ts";
import { ValueError } from "../../../errors.ts";
import { around } from "../../layout.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { wgslType } from "../pipelines.ts";

/** The index in row-major order; the next read or sync throws if one of its elements is not in [0, n). */
export function checkedIndex(rt: Runtime, attrs: Attrs, index: View, n: number): View {
  const dense = rt.dense(index);
  rt.verify(dense, {
    label: String(attrs.label),
    n,
    explain: (label, found, at, extent) =>
      new ValueError(`${label}: index ${found} at element ${at} is outside [0, ${extent})`),
  });
  return dense;
}

/** A bad index reads the last row; the error follows. */
const bounded = (value: string): string => `min(u32(max(${value}, 0)), p.n - 1u)`;

const takeRows: Launcher = (rt, _kernel, [x, index], [y], attrs) => {
  const { n, inner } = around(x, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  if (n === 0) return;
  rt.run({
    key: "takeRows",
    reads: { x: rt.dense(x), index: at },
    writes: { y },
    u32: { n, m: index.size, inner },
    items: y.size,
    code: () => `  let row = i / p.inner;
  let place = ${bounded("index[p.index_at + row % p.m]")};
  y[p.y_at + i] = x[p.x_at + ((row / p.m) * p.n + place) * p.inner + i % p.inner];`,
  });
};

const gather: Launcher = (rt, _kernel, [x, index], [y], attrs) => {
  const { n } = around(x, attrs.dim as number);
  const { n: m, inner } = around(index, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  if (n === 0) return;
  rt.run({
    key: "gather",
    reads: { x: rt.dense(x), index: at },
    writes: { y },
    u32: { n, m, inner },
    items: y.size,
    code: () => `  let outer = i / (p.m * p.inner);
  let place = ${bounded("index[p.index_at + i]")};
  y[p.y_at + i] = x[p.x_at + (outer * p.n + place) * p.inner + i % p.inner];`,
  });
};

/** x → y, running sums */
const cumulate: Launcher = (rt, _kernel, [x], [y], attrs) => {
  const { outer, n, inner } = around(x, attrs.dim as number);
  rt.run({
    key: "cumulate",
    reads: { x: rt.dense(x) },
    writes: { y },
    u32: { n, inner },
    items: n === 0 ? 0 : outer * inner,
    code: () => `  let first = (i / p.inner) * p.n * p.inner + i % p.inner;
  var total = ${wgslType[y.dtype]}(0);
  for (var k = 0u; k < p.n; k++) {
    total += x[p.x_at + first + k * p.inner];
    y[p.y_at + first + k * p.inner] = total;
  }`,
  });
};

export const indexingLaunchers: Readonly<Record<string, Launcher>> = {
  takeRows,
  gather,
  cumulate,
};
