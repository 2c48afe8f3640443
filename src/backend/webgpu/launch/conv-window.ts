/**
 * Convolutions of few channels and filters a group go without products, as each group would fill a quarter of a tile at most. Lanes
 * take blocks of neighbours in a row instead, and meet along it what the kernel's columns lead to.
 *
 * All but the extents of images is constant in the code: no loop over a kernel's columns is left, and no division by a stride.
 */
import type { Geometry } from "./conv-geometry.ts";

/** Channels and filters of a group that leave three quarters of the narrowest tile empty. */
const FEW = 4;
/** Kernel columns and strides up to which code is written out for each. */
const WIDEST = 32;
const LONGEST_STRIDE = 8;
/** Neighbours in a row that a lane takes. */
export const BLOCK = 4;

/** Is this done by conv-direct.ts and conv-direct-weight.ts? */
export function isDirect({ groups, channels, filters, kernel, stride, small }: Geometry): boolean {
  return (
    !small &&
    groups > 1 &&
    Math.max(channels, filters) <= FEW &&
    kernel[1] <= WIDEST &&
    stride[1] <= LONGEST_STRIDE
  );
}

/** Along a row: which elements of one array the elements of a block of another meet. */
export interface Window {
  /** Elements of a block. */
  readonly block: number;
  /** Elements that the other array moves on by from block to block. */
  readonly step: number;
  /** Of the block's element `to` and a kernel column: an element `offset` from where the other's block begins. */
  readonly meetings: readonly { readonly to: number; readonly tap: number; offset: number }[];
}

/** Outputs, which meet pixels. */
export function outputWindow({ kernel, stride, padding, dilation }: Geometry): Window {
  const meetings = range(BLOCK).flatMap((to) =>
    range(kernel[1]).map((tap) => ({
      to,
      tap,
      offset: to * stride[1] + tap * dilation[1] - padding[1],
    })),
  );
  return { block: BLOCK, step: BLOCK * stride[1], meetings };
}

/** Pixels, which meet outputs. Blocks are multiples of the stride, so that the same taps fall on all of them alike. */
export function pixelWindow({ kernel, stride, padding, dilation }: Geometry): Window {
  const step = Math.ceil(BLOCK / stride[1]);
  const block = step * stride[1];
  const meetings = range(block)
    .flatMap((to) =>
      range(kernel[1]).map((tap) => ({
        to,
        tap,
        offset: (to + padding[1] - tap * dilation[1]) / stride[1],
      })),
    )
    .filter(({ offset }) => Number.isInteger(offset));
  return { block, step, meetings };
}

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A whole number as WGSL has it, mod 2^32: negative ones add up. */
const u32 = (n: number): string => `${n >>> 0}u`;

export const keyOf = ({ channels, filters, kernel, stride, padding, dilation }: Geometry): string =>
  [channels, filters, kernel, stride, padding, dilation].join();

/** A number of a row that begins at `line`; 0 outside of it, where `column` is too large or has wrapped around. */
export const load = `fn load(line: u32, column: u32) -> f32 {
  if (column >= p.width) { return 0.0; }
  return x[line + column];
}`;

/** Declares what a window meets, once each. */
export function loads({ meetings }: Window): string {
  const offsets = [...new Set(meetings.map(({ offset }) => offset))].sort((a, b) => a - b);
  return offsets
    .map((offset) => `      let ${met(offset)} = load(line, column + ${u32(offset)});`)
    .join("\n");
}

export const met = (offset: number): string => (offset < 0 ? `before${-offset}` : `after${offset}`);
