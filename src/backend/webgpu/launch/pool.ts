/** Kinds `maxPool2d`, `avgPool2d` and their gradients. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";

type Pair = readonly [number, number];

function geometryOf(x: View, y: View, attrs: Attrs): Record<string, number> {
  const [kh, kw] = attrs.kernelSize as Pair;
  const [sh, sw] = attrs.stride as Pair;
  const [ph, pw] = attrs.padding as Pair;
  const [dh, dw] = attrs.dilation as Pair;
  const [h, w] = x.shape.slice(2);
  const [oh, ow] = y.shape.slice(2);
  return { h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw };
}

/** x → y, and where in its plane each maximum was; NaN wins. With relu -1 where that gives 0. */
const maxPool2d: Launcher = (rt, _kernel, [x], [y, index], attrs) => {
  rt.run({
    key: "maxPool2d",
    reads: { x: rt.dense(x) },
    writes: { y, index },
    u32: { ...geometryOf(x, y, attrs), relu: Number(attrs.activation === "relu") },
    items: y.size,
    code: () => `  let plane = p.x_at + (i / (p.oh * p.ow)) * p.h * p.w;
  let top = ((i / p.ow) % p.oh) * p.sh;
  let left = (i % p.ow) * p.sw;
  var best = -infinity();
  var at = -1;
  for (var r = 0u; r < p.kh; r++) {
    let row = top + r * p.dh;
    if (row < p.ph || row - p.ph >= p.h) { continue; }
    for (var s = 0u; s < p.kw; s++) {
      let column = left + s * p.dw;
      if (column < p.pw || column - p.pw >= p.w) { continue; }
      let k = (row - p.ph) * p.w + column - p.pw;
      let value = x[plane + k];
      if (at < 0 || (!is_nan(best) && (is_nan(value) || value > best))) {
        best = value;
        at = i32(k);
      }
    }
  }
  if (p.relu == 1u && !is_nan(best) && best <= 0.0) {
    best = 0.0;
    at = -1;
  }
  y[p.y_at + i] = best;
  index[p.index_at + i] = at;`,
  });
};

/** Declares the windows from `first_row`, `first_column` on that may hold pixel `i`, which is at `row`, `column`. */
const windowsOf = `  let row = (i / p.w) % p.h + p.ph;
  let column = i % p.w + p.pw;
  let reach_row = (p.kh - 1u) * p.dh;
  let reach_column = (p.kw - 1u) * p.dw;
  let first_row = select(0u, (row + p.sh - 1u - reach_row) / p.sh, row > reach_row);
  let first_column = select(0u, (column + p.sw - 1u - reach_column) / p.sw, column > reach_column);`;

/** dy, index → dx: every pixel adds up the windows whose maximum it was. */
const maxPool2dGrad: Launcher = (rt, _kernel, [dy, index], [dx], attrs) => {
  rt.run({
    key: "maxPool2dGrad",
    reads: { dy: rt.dense(dy), index: rt.dense(index) },
    writes: { dx },
    u32: geometryOf(dx, dy, attrs),
    items: dx.size,
    code: () => `${windowsOf}
  let own = i32(i % (p.h * p.w));
  let plane = (i / (p.h * p.w)) * p.oh * p.ow;
  var total = 0.0;
  for (var a = first_row; a < p.oh && a * p.sh <= row; a++) {
    for (var b = first_column; b < p.ow && b * p.sw <= column; b++) {
      let k = plane + a * p.ow + b;
      if (index[p.index_at + k] == own) { total += dy[p.dy_at + k]; }
    }
  }
  dx[p.dx_at + i] = total;`,
  });
};

/** The clipped rows [r0, r1), columns [s0, s1) of window `k` of a plane, and what its sum is divided by. */
const avgWindow = (k: string): string => `let top = i32(((${k}) / p.ow) * p.sh) - i32(p.ph);
  let left = i32(((${k}) % p.ow) * p.sw) - i32(p.pw);
  let bottom = min(top + i32(p.kh), i32(p.h + p.ph));
  let right = min(left + i32(p.kw), i32(p.w + p.pw));
  let r0 = max(top, 0); let r1 = min(bottom, i32(p.h));
  let s0 = max(left, 0); let s1 = min(right, i32(p.w));
  var divisor = f32((bottom - top) * (right - left));
  if (p.pad == 0u) { divisor = f32((r1 - r0) * (s1 - s0)); }`;

const avgPool2d: Launcher = (rt, _kernel, [x], [y], attrs) => {
  rt.run({
    key: "avgPool2d",
    reads: { x: rt.dense(x) },
    writes: { y },
    u32: { ...geometryOf(x, y, attrs), pad: Number(attrs.countIncludePad) },
    items: y.size,
    code: () => `  let plane = p.x_at + (i / (p.oh * p.ow)) * p.h * p.w;
  ${avgWindow("i % (p.oh * p.ow)")}
  var total = 0.0;
  for (var r = r0; r < r1; r++) {
    for (var s = s0; s < s1; s++) { total += x[plane + u32(r) * p.w + u32(s)]; }
  }
  y[p.y_at + i] = f_div(total, divisor);`,
  });
};

/** dy → dx: every pixel adds up the windows that hold it. */
const avgPool2dGrad: Launcher = (rt, _kernel, [dy], [dx], attrs) => {
  rt.run({
    key: "avgPool2dGrad",
    reads: { dy: rt.dense(dy) },
    writes: { dx },
    u32: { ...geometryOf(dx, dy, attrs), pad: Number(attrs.countIncludePad) },
    items: dx.size,
    code: () => `${windowsOf}
  let plane = p.dy_at + (i / (p.h * p.w)) * p.oh * p.ow;
  var total = 0.0;
  for (var a = first_row; a < p.oh && a * p.sh <= row; a++) {
    for (var b = first_column; b < p.ow && b * p.sw <= column; b++) {
      let k = a * p.ow + b;
      ${avgWindow("k")}
      total += f_div(dy[plane + k], divisor);
    }
  }
  dx[p.dx_at + i] = total;`,
  });
};

export const poolLaunchers: Readonly<Record<string, Launcher>> = {
  maxPool2d,
  maxPool2dGrad,
  avgPool2d,
  avgPool2dGrad,
};
