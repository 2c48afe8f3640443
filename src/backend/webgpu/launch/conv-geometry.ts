/** What the kernels of convolutions know of shapes, strides, padding and groups. */
import type { Attrs, View } from "../../backend.ts";
import { isSmall } from "./tiles.ts";

/** Rows and columns. */
export type Pair = readonly [number, number];

export interface Geometry {
  readonly images: number;
  readonly groups: number;
  /** Channels and filters of a group. */
  readonly channels: number;
  readonly filters: number;
  /** Of an image, an output and a kernel. */
  readonly image: Pair;
  readonly output: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  /** Elements of a filter's plane, of an image's plane and of an output's. */
  readonly taps: number;
  readonly area: number;
  readonly plane: number;
  /** See tiles.ts. */
  readonly small: boolean;
}

/** x [images, c, h, w], weight [o, channels, kh, kw], y [images, o, oh, ow] */
export function geometryOf(x: View, weight: View, y: View, attrs: Attrs): Geometry {
  const { stride, padding, dilation, groups } = attrs as {
    stride: Pair;
    padding: Pair;
    dilation: Pair;
    groups: number;
  };
  const [images, , h, w] = x.shape;
  const [o, channels, kh, kw] = weight.shape;
  const [, , oh, ow] = y.shape;
  const taps = kh * kw;
  const plane = oh * ow;
  return {
    images,
    groups,
    channels,
    filters: o / groups,
    image: [h, w],
    output: [oh, ow],
    kernel: [kh, kw],
    stride,
    padding,
    dilation,
    taps,
    area: h * w,
    plane,
    small: isSmall(o, images * plane, channels * taps, 1),
  };
}
