/** Kinds `conv2d`, `conv2dGradInput` and `conv2dGradWeight`: products whose operands are never written out. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";
import { activationOf, multiply } from "./product.ts";

type Pair = readonly [number, number];

interface Geometry {
  readonly u32: Readonly<Record<string, number>>;
  readonly groups: number;
  /** Channels and filters of a group. */
  readonly channels: number;
  readonly filters: number;
  /** Elements of a filter's plane, of an image's plane and of an output's. */
  readonly taps: number;
  readonly area: number;
  readonly plane: number;
  readonly images: number;
}

function geometryOf(x: View, weight: View, y: View, attrs: Attrs): Geometry {
  const { stride, padding, dilation, groups } = attrs as {
    stride: Pair;
    padding: Pair;
    dilation: Pair;
    groups: number;
  };
  const [images, c, h, w] = x.shape;
  const [o, channels, kh, kw] = weight.shape;
  const [, , oh, ow] = y.shape;
  const [sh, sw] = stride;
  const [ph, pw] = padding;
  const [dh, dw] = dilation;
  const filters = o / groups;
  const u32 = { c, h, w, o, kh, kw, oh, ow, sh, sw, ph, pw, dh, dw, channels, filters, groups };
  const planes = { taps: kh * kw, area: h * w, plane: oh * ow };
  return { u32: { ...u32, ...planes }, groups, channels, filters, images, ...planes };
}

/** x at channel `c` of the group, tap `t` and output `o` of image `b`: 0 in the padding. */
const pixel = `fn pixel(b: u32, g: u32, c: u32, t: u32, o: u32) -> f32 {
  let r = (o / p.ow) * p.sh + (t / p.kw) * p.dh;
  let s = (o % p.ow) * p.sw + (t % p.kw) * p.dw;
  if (r < p.ph || s < p.pw || r - p.ph >= p.h || s - p.pw >= p.w) { return 0.0; }
  return x[p.x_at + ((b * p.c + g * p.channels + c) * p.h + r - p.ph) * p.w + s - p.pw];
}`;

/** dy where filter `f` of the group put tap `t` on pixel `q` of image `b`; 0 where it never does. */
const source = `fn source(b: u32, g: u32, f: u32, t: u32, q: u32) -> f32 {
  let r = q / p.w + p.ph;
  let s = q % p.w + p.pw;
  let up = (t / p.kw) * p.dh;
  let left = (t % p.kw) * p.dw;
  if (r < up || s < left || (r - up) % p.sh != 0u || (s - left) % p.sw != 0u) { return 0.0; }
  let row = (r - up) / p.sh;
  let column = (s - left) / p.sw;
  if (row >= p.oh || column >= p.ow) { return 0.0; }
  return dy[p.dy_at + ((b * p.o + g * p.filters + f) * p.oh + row) * p.ow + column];
}`;

/** [filters, channels · taps] · [channels · taps, images · plane] for each group */
const conv2d: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  const [x, weight, bias] = inputs.map((view) => rt.dense(view));
  const { u32, groups, channels, filters, taps, plane, images } = geometryOf(x, weight, y, attrs);
  multiply(rt, {
    key: `conv2d ${bias === undefined ? "" : "bias"}`,
    reads: bias === undefined ? { x, weight } : { x, weight, bias },
    y,
    u32,
    m: filters,
    n: images * plane,
    k: channels * taps,
    batch: groups,
    outside: pixel,
    a: "weight[p.weight_at + (batch * p.filters + row) * p.k + k]",
    b: "pixel(column / p.plane, batch, k / p.taps, k % p.taps, column % p.plane)",
    aAlongK: true,
    bAlongK: false,
    at: "((column / p.plane) * p.o + batch * p.filters + row) * p.plane + column % p.plane",
    bias: bias === undefined ? undefined : "bias[p.bias_at + batch * p.filters + row]",
    activation: activationOf(attrs),
  });
};

/** [channels, filters · taps] · [filters · taps, images · area] for each group */
const conv2dGradInput: Launcher = (rt, _kernel, inputs, [dx], attrs) => {
  const [dy, weight] = inputs.map((view) => rt.dense(view));
  const { u32, groups, channels, filters, taps, area, images } = geometryOf(dx, weight, dy, attrs);
  if (dy.size === 0) fillWith(rt, dx, 0);
  else {
    multiply(rt, {
      key: "conv2dGradInput",
      reads: { dy, weight },
      y: dx,
      u32,
      m: channels,
      n: images * area,
      k: filters * taps,
      batch: groups,
      outside: source,
      a: "weight[p.weight_at + ((batch * p.filters + k / p.taps) * p.channels + row) * p.taps + k % p.taps]",
      b: "source(column / p.area, batch, k / p.taps, k % p.taps, column % p.area)",
      aAlongK: true,
      bAlongK: false,
      at: "((column / p.area) * p.c + batch * p.channels + row) * p.area + column % p.area",
    });
  }
};

/** [filters, images · plane] · [images · plane, channels · taps] for each group */
const conv2dGradWeight: Launcher = (rt, _kernel, inputs, [dweight], attrs) => {
  const [x, dy] = inputs.map((view) => rt.dense(view));
  const { u32, groups, channels, filters, taps, plane, images } = geometryOf(x, dweight, dy, attrs);
  multiply(rt, {
    key: "conv2dGradWeight",
    reads: { x, dy },
    y: dweight,
    u32,
    m: filters,
    n: channels * taps,
    k: images * plane,
    batch: groups,
    outside: pixel,
    a: "dy[p.dy_at + ((k / p.plane) * p.o + batch * p.filters + row) * p.plane + k % p.plane]",
    b: "pixel(k / p.plane, batch, column / p.taps, column % p.taps, k % p.plane)",
    aAlongK: true,
    bAlongK: true,
    at: "(batch * p.filters + row) * p.n + column",
  });
};

export const convLaunchers: Readonly<Record<string, Launcher>> = {
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
};
