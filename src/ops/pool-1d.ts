/** Pooling of sequences, by pooling images of one row. */
import { ShapeError } from "../errors.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { Pair } from "./conv.ts";
import { wholeOf } from "./conv.ts";
import { squeeze, unsqueeze } from "./movement.ts";
import { avgPool2d, maxPool2d } from "./pool.ts";
import { adaptiveAvgPool2d } from "./resample.ts";

export interface AvgPool1dOptions {
  /** Default: the kernel's size. */
  stride?: number;
  /** Zeros on each side, at most half of the kernel. Default 0. */
  padding?: number;
  /** Let the last window stick out. Default false. */
  ceilMode?: boolean;
  /** Divide by the window's size with padding. Default true. */
  countIncludePad?: boolean;
}

export interface MaxPool1dOptions {
  /** Default: the kernel's size. */
  stride?: number;
  /** -Infinity on each side, at most half of the kernel. Default 0. */
  padding?: number;
  /** Distance between the elements of a window. Default 1. */
  dilation?: number;
  /** Let the last window stick out. Default false. */
  ceilMode?: boolean;
}

/** Largest element of each window: x [n, c, l] → [n, c, ol], or without n; see `maxPool2d`. */
export function maxPool1d(x: Tensor, kernelSize: number, options: MaxPool1dOptions = {}): Tensor {
  const op = "maxPool1d";
  const { kernel, stride, padding } = along(op, kernelSize, options);
  const dilation: Pair = [1, wholeOf(op, "dilation", options.dilation ?? 1, 1)];
  const { ceilMode } = options;
  return onOneRow(op, x, (x) => maxPool2d(x, kernel, { stride, padding, dilation, ceilMode }));
}

/** Mean of each window: x [n, c, l] → [n, c, ol], or without n; see `avgPool2d`. */
export function avgPool1d(x: Tensor, kernelSize: number, options: AvgPool1dOptions = {}): Tensor {
  const op = "avgPool1d";
  const { kernel, stride, padding } = along(op, kernelSize, options);
  const { ceilMode, countIncludePad } = options;
  return onOneRow(op, x, (x) =>
    avgPool2d(x, kernel, { stride, padding, ceilMode, countIncludePad }),
  );
}

/** Mean of each of `outputSize` windows that cover the sequence evenly: [n, c, l] or [c, l]; see `adaptiveAvgPool2d`. */
export function adaptiveAvgPool1d(x: Tensor, outputSize: number): Tensor {
  const op = "adaptiveAvgPool1d";
  const size = wholeOf(op, "outputSize", outputSize, 1);
  return onOneRow(op, x, (x) => adaptiveAvgPool2d(x, [1, size]));
}

function along(
  op: string,
  kernelSize: number,
  options: { stride?: number; padding?: number },
): Record<"kernel" | "stride" | "padding", Pair> {
  const kernel = wholeOf(op, "kernelSize", kernelSize, 1);
  return {
    kernel: [1, kernel],
    stride: [1, wholeOf(op, "stride", options.stride ?? kernel, 1)],
    padding: [0, wholeOf(op, "padding", options.padding ?? 0, 0)],
  };
}

function onOneRow(op: string, x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  if (x.ndim !== 2 && x.ndim !== 3) {
    throw new ShapeError(`${op}: input ${formatShape(x.shape)}; expected [n, c, l] or [c, l]`);
  }
  return squeeze(f(unsqueeze(x, x.ndim - 1)), x.ndim - 1);
}
