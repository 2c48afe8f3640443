/**
 * Kinds `conv2d`, `conv2dGradInput` and `conv2dGradWeight`: products whose operands are never written out, and where groups are
 * too small for products, what conv-window.ts describes.
 */
import type { Kernel, View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";
import { directForward, directGradInput } from "./conv-direct.ts";
import { directGradWeight } from "./conv-direct-weight.ts";
import type { Geometry } from "./conv-geometry.ts";
import { geometryOf } from "./conv-geometry.ts";
import { isDirect } from "./conv-window.ts";
import { zip } from "./elementwise.ts";
import { fillWith } from "./movement.ts";
import type { Operand } from "./product.ts";
import { activationOf, elementOf, multiply, wideOf } from "./product.ts";
import { reduce, sum } from "./reduce.ts";

/** What code of products needs to know. */
interface Indices {
  readonly u32: Readonly<Record<string, number>>;
  /** Says which constants are in the code. */
  readonly key: string;
  /** WGSL functions that find pixels and outputs, and what they call the number of taps. */
  readonly outside: string;
  readonly tapCount: string;
  /** Does each output see one pixel, its own? Then images are matrices as they are. */
  readonly pointwise: boolean;
}

function indicesOf(geometry: Geometry): Indices {
  const { groups, channels, filters, stride, padding, dilation, taps, area, plane, small } =
    geometry;
  const [h, w] = geometry.image;
  const [oh, ow] = geometry.output;
  const [ph, pw] = padding;
  const fixed = {
    kw: geometry.kernel[1],
    taps,
    sh: stride[0],
    sw: stride[1],
    dh: dilation[0],
    dw: dilation[1],
  };
  const names = Object.entries(fixed).map(([name, n]) => [name, small ? `p.${name}` : `${n}u`]);
  const named = Object.fromEntries(names) as Record<keyof typeof fixed, string>;
  const [c, o] = [groups * channels, groups * filters];
  return {
    u32: { ...fixed, c, h, w, o, oh, ow, ph, pw, channels, filters, area, plane },
    key: small ? "small" : Object.values(fixed).join(),
    outside: functionsOf(named),
    tapCount: named.taps,
    pointwise: !small && taps === 1 && `${stride},${padding}` === "1,1,0,0",
  };
}

/**
 * Places as three numbers: where a plane begins, and a row and a column, which for an output and a tap add up to those of a
 * pixel of the padded image. Kernel sizes, strides and dilations are constants, unless the product is small: dividing by
 * parameters for each element would cost more than its multiply-adds.
 */
const functionsOf = ({ kw, taps, sh, sw, dh, dw }: Record<string, string>): string => `
fn tap_of(t: u32, plane: u32) -> vec3u {
  let own = t % ${taps};
  return vec3u(t / ${taps} * plane, own / ${kw} * ${dh}, own % ${kw} * ${dw});
}
fn output_of(o: u32) -> vec3u {
  let own = o % p.plane;
  return vec3u(o / p.plane * p.c * p.area, own / p.ow * ${sh}, own % p.ow * ${sw});
}
fn pixel_of(q: u32) -> vec3u {
  let own = q % p.area;
  return vec3u(q / p.area * p.o * p.plane, own / p.w + p.ph, own % p.w + p.pw);
}
fn is_source(at: vec3u, tap: vec3u) -> bool {
  return at.y >= tap.y && at.z >= tap.z && (at.y - tap.y) % ${sh} == 0u && (at.z - tap.z) % ${sw} == 0u;
}
fn source_of(at: vec3u, tap: vec3u) -> vec3u {
  return vec3u(at.x + tap.x, (at.y - tap.y) / ${sh}, (at.z - tap.z) / ${sw});
}
`;

/** x where a tap of an output falls in group g: 0 in the padding. */
const pixel = `fn pixel(g: u32, o: vec3u, tap: vec3u) -> f32 {
  let r = o.y + tap.y;
  let s = o.z + tap.z;
  if (r < p.ph || s < p.pw || r - p.ph >= p.h || s - p.pw >= p.w) { return 0.0; }
  return x[p.x_at + g * p.channels * p.area + o.x + tap.x + (r - p.ph) * p.w + s - p.pw];
}`;

/** dy where a filter's tap fell on a pixel; 0 where it never does. */
const source = `fn source(g: u32, q: vec3u, tap: vec3u) -> f32 {
  if (!is_source(q, tap)) { return 0.0; }
  let at = source_of(q, tap);
  if (at.y >= p.oh || at.z >= p.ow) { return 0.0; }
  return dy[p.dy_at + g * p.filters * p.plane + at.x + at.y * p.ow + at.z];
}`;

/** Do vec4 of an image's plane stay within it? */
const inQuads = (view: View, { plane, small }: Geometry): boolean =>
  !small && plane % 4 === 0 && view.offset % 4 === 0;

/**
 * Images [images, all, plane] as a matrix of the group's planes and of positions: `planes` and `positions` say which of the
 * product's indices count them.
 */
function planesOperand(
  name: string,
  view: View,
  geometry: Geometry,
  [all, own]: readonly [all: string, own: string],
  planes: "row" | "column" | "k",
  positions: "column" | "k",
): Operand {
  const wide = inQuads(view, geometry);
  const position = `vec3u(${positions} / p.plane * p.${all} * p.plane + ${positions} % p.plane, 0u, 0u)`;
  const along = positions === "k";
  return {
    alongK: along,
    wide,
    value: elementOf(
      name,
      `${along ? "step" : "place"}.x + (batch * p.${own} + ${planes}) * p.plane`,
      wide,
    ),
    ...(along ? { step: position } : { place: position }),
  };
}

/** [filters, channels · taps] · [channels · taps, images · plane] for each group */
const conv2d: Launcher = (rt, kernel, inputs, [y], attrs) => {
  const [x, weight, bias] = inputs.map((view) => rt.dense(view));
  const geometry = geometryOf(x, weight, y, attrs);
  const activation = activationOf(attrs);
  if (isDirect(geometry)) {
    directForward(rt, geometry, { x, weight, bias }, y, activation);
    return;
  }
  const { groups, channels, filters, taps, plane, images } = geometry;
  const { u32, key, outside, pointwise } = indicesOf(geometry);
  const k = channels * taps;
  const filtersWide = !geometry.small && k % 4 === 0 && weight.offset % 4 === 0;
  const a: Operand = {
    alongK: true,
    wide: filtersWide,
    value: elementOf("weight", "(batch * p.filters + row) * p.k + k", filtersWide),
  };
  const b: Operand = pointwise
    ? planesOperand("x", x, geometry, ["c", "channels"], "k", "column")
    : {
        alongK: false,
        wide: false,
        place: "output_of(column)",
        step: "tap_of(k, p.area)",
        value: "pixel(batch, place, step)",
      };
  multiply(rt, {
    key: `conv2d ${pointwise ? "pointwise" : key}`,
    reads: { x, weight },
    wide: wideOf({ x: b, weight: a }),
    y,
    u32,
    m: filters,
    n: images * plane,
    k,
    batch: groups,
    outside: pointwise ? "" : outside + pixel,
    a,
    b,
    at: "((column / p.plane) * p.o + batch * p.filters + row) * p.plane + column % p.plane",
    quads: plane % 4 === 0,
    ...(bias === undefined
      ? {}
      : { bias: "bias[p.bias_at + batch * p.filters + row]", finishReads: { bias } }),
    activation,
    halves: kernel.gradient !== true,
  });
};

/** [channels, filters · taps] · [filters · taps, images · area] for each group */
const conv2dGradInput: Launcher = (rt, _kernel, inputs, [dx], attrs) => {
  const [dy, weight] = inputs.map((view) => rt.dense(view));
  if (dy.size === 0) {
    fillWith(rt, dx, 0);
    return;
  }
  const geometry = geometryOf(dx, weight, dy, attrs);
  if (isDirect(geometry)) {
    directGradInput(rt, geometry, dy, weight, dx);
    return;
  }
  const { groups, channels, filters, taps, area, images, small } = geometry;
  const { u32, key, outside, pointwise, tapCount } = indicesOf(geometry);
  const b: Operand = pointwise
    ? planesOperand("dy", dy, geometry, ["o", "filters"], "k", "column")
    : {
        alongK: false,
        wide: false,
        place: "pixel_of(column)",
        step: "tap_of(k, p.plane)",
        value: "source(batch, place, step)",
      };
  multiply(rt, {
    key: `conv2dGradInput ${pointwise ? "pointwise" : key}`,
    reads: { dy, weight },
    wide: wideOf({ dy: b }),
    y: dx,
    u32,
    m: channels,
    n: images * area,
    k: filters * taps,
    batch: groups,
    outside: pointwise ? "" : outside + source,
    a: {
      alongK: taps > 1 || small,
      wide: false,
      place: `vec3u((batch * p.filters * p.channels + row) * ${tapCount}, 0u, 0u)`,
      step: `vec3u(k / ${tapCount} * p.channels * ${tapCount} + k % ${tapCount}, 0u, 0u)`,
      value: "weight[p.weight_at + place.x + step.x]",
    },
    b,
    at: "((column / p.area) * p.c + batch * p.channels + row) * p.area + column % p.area",
    quads: area % 4 === 0,
  });
};

/** relu's gradient of y, dy: as its own record has it. */
const reluGrad: Kernel = {
  name: "reluGrad",
  kind: "zip",
  wasm: "relu_grad",
  reference: () => 0,
  wgsl: "select(b, 0.0, !is_nan(a) && a <= 0.0)",
};

/** [filters, images · plane] · [images · plane, channels · taps] for each group, and dy summed where asked for */
const conv2dGradWeight: Launcher = (rt, _kernel, inputs, [dweight, dbias], attrs) => {
  const [x, after, y] = inputs.map((view) => rt.dense(view));
  let dy = after;
  if (y !== undefined && dy.size > 0) {
    dy = { ...rt.scratch(dy.size, "float32"), shape: dy.shape, strides: dy.strides };
    zip(rt, reluGrad, [y, after], [dy], attrs);
  }
  if (dbias !== undefined) reduce(rt, sum, [dy], [dbias], { dims: [0, 2, 3] });
  const geometry = geometryOf(x, dweight, dy, attrs);
  if (isDirect(geometry)) {
    directGradWeight(rt, geometry, x, dy, dweight);
    return;
  }
  const { groups, channels, filters, taps, plane, images } = geometry;
  const { u32, key, outside, pointwise } = indicesOf(geometry);
  const a = planesOperand("dy", dy, geometry, ["o", "filters"], "row", "k");
  const b: Operand = pointwise
    ? planesOperand("x", x, geometry, ["c", "channels"], "column", "k")
    : {
        alongK: true,
        wide: false,
        place: "tap_of(column, p.area)",
        step: "output_of(k)",
        value: "pixel(batch, step, place)",
      };
  const n = channels * taps;
  multiply(rt, {
    key: `conv2dGradWeight ${pointwise ? "pointwise" : key}`,
    reads: { x, dy },
    wide: wideOf({ x: b, dy: a }),
    y: dweight,
    u32,
    m: filters,
    n,
    k: images * plane,
    batch: groups,
    outside: pointwise ? "" : outside + pixel,
    a,
    b,
    at: "(batch * p.filters + row) * p.n + column",
    quads: n % 4 === 0,
  });
};

export const convLaunchers: Readonly<Record<string, Launcher>> = {
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
};
