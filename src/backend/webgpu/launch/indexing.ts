/**
 * Kinds `takeRows`, `addRows`, `gather`, `scatterAdd`, `cumulate` and `argsort`. What adds at indices looks for its
 * summands from where they go, in order: WGSL has no atomic floats, and their order would be anybody's.
 */
import type { Attrs, View } from "../../backend.ts";
import { ValueError } from "../../../errors.ts";
import { around } from "../../layout.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { wgslType } from "../pipelines.ts";

/** The index in row-major order; the next read or sync throws if one of its elements is not in [0, n). */
function checkedIndex(rt: Runtime, attrs: Attrs, index: View, n: number): View {
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

const addRows: Launcher = (rt, _kernel, [a, index, src], [y], attrs) => {
  const { n, inner } = around(y, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  rt.run({
    key: "addRows",
    reads: { a: rt.dense(a), index: at, src: rt.dense(src) },
    writes: { y },
    u32: { n, m: index.size, inner },
    i32: { skip: attrs.skip as number },
    items: y.size,
    code: () => `  let row = i / p.inner;
  let block = (row / p.n) * p.m;
  var value = a[p.a_at + i];
  let own = i32(row % p.n);
  if (own != p.skip) {
    for (var k = 0u; k < p.m; k++) {
      if (index[p.index_at + k] == own) {
        value += src[p.src_at + (block + k) * p.inner + i % p.inner];
      }
    }
  }
  y[p.y_at + i] = value;`,
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

/** Kernel `scatter` overwrites instead of adding: the last of several stays. */
const scatterAdd: Launcher = (rt, kernel, [a, index, src], [y], attrs) => {
  const { n } = around(y, attrs.dim as number);
  const { n: m, inner } = around(index, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  rt.run({
    key: kernel.wasm,
    reads: { a: rt.dense(a), index: at, src: rt.dense(src) },
    writes: { y },
    u32: { n, m, inner },
    items: y.size,
    code: () => `  let row = i / p.inner;
  let first = (row / p.n) * p.m * p.inner + i % p.inner;
  var value = a[p.a_at + i];
  for (var k = 0u; k < p.m; k++) {
    let place = first + k * p.inner;
    if (index[p.index_at + place] == i32(row % p.n)) {
      value ${kernel.wasm === "scatter" ? "=" : "+="} src[p.src_at + place];
    }
  }
  y[p.y_at + i] = value;`,
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

/** Each element counts those before it, which is where it goes: quadratic in the row, stable, NaN largest. */
const argsort: Launcher = (rt, _kernel, [x], [y], attrs) => {
  const n = x.shape[x.shape.length - 1] ?? 1;
  const float = x.dtype === "float32";
  rt.run({
    key: `argsort ${attrs.descending === true ? "down" : "up"}`,
    reads: { x: rt.dense(x) },
    writes: { y },
    u32: { n },
    items: y.size,
    code: () => ({
      outside: `fn less(a: ${wgslType[x.dtype]}, b: ${wgslType[x.dtype]}) -> bool {
  return ${float ? "!is_nan(a) && (is_nan(b) || a < b)" : "a < b"};
}`,
      body: `  let own = i % p.n;
  let first = i - own;
  let value = x[p.x_at + i];
  var place = 0u;
  for (var k = 0u; k < p.n; k++) {
    let other = x[p.x_at + first + k];
    let before = ${attrs.descending === true ? "less(value, other)" : "less(other, value)"};
    let after = ${attrs.descending === true ? "less(other, value)" : "less(value, other)"};
    if (before || (!after && k < own)) { place++; }
  }
  y[p.y_at + first + place] = i32(own);`,
    }),
  });
};

export const indexingLaunchers: Readonly<Record<string, Launcher>> = {
  takeRows,
  addRows,
  gather,
  scatterAdd,
  cumulate,
  argsort,
};
