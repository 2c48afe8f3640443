/** Where the largest elements of windows are, and the way back: maximum pooling undone. */
import { ShapeError, ValueError } from "../errors.ts";
import { run, runAll } from "../op.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { reshape } from "./broadcast.ts";
import type { Pair } from "./conv.ts";
import { pairOf } from "./conv.ts";
import { filledLike, gather, scatterAddOp } from "./indexing.ts";
import { squeeze, unsqueeze } from "./movement.ts";
import type { MaxPoolOptions } from "./pool.ts";
import { maxPoolOp, poolAttrs } from "./pool.ts";
import type { Extremes } from "./reduce.ts";

/** [n, c, h, w] → [n, c, h·w] */
function flatPlanes(x: Tensor): Tensor {
  const [n, c, h, w] = x.shape;
  return reshape(x, [n, c, h * w]);
}

/**
 * `maxPool2d` and the place of each element in its channel, row · w + column: values and indices (int32)
 * [n, c, oh, ow], or without n. What `maxUnpool2d` takes.
 */
export function maxPool2dWithIndices(
  x: Tensor,
  kernelSize: number | Pair,
  options: MaxPoolOptions = {},
): Extremes {
  const attrs = poolAttrs("maxPool2dWithIndices", x, kernelSize, options);
  if (x.ndim === 3) {
    const { values, indices } = maxPool2dWithIndices(unsqueeze(x, 0), kernelSize, options);
    return { values: squeeze(values, 0), indices: squeeze(indices, 0) };
  }
  const [pooled, indices] = runAll(maxPoolOp, [x], attrs);
  if (!x.requiresGrad) return { values: pooled, indices };
  const values = gather(flatPlanes(x), 2, flatPlanes(indices));
  return { values: reshape(values, indices.shape), indices };
}

export interface MaxUnpoolOptions {
  /** Default: the kernel's size. */
  stride?: number | Pair;
  /** What the pooling had. Default 0. */
  padding?: number | Pair;
  /** Rows and columns of the result. Default: (oh - 1)·stride - 2·padding + kernelSize. */
  outputSize?: Pair;
}

/**
 * Zeros with the elements of x at the places of their channels that `indices` (int32) names, as
 * torch.nn.functional.max_unpool2d: x and indices [n, c, oh, ow] → [n, c, h, w], all with or without n.
 * Elements that windows had in common are added up.
 */
export function maxUnpool2d(
  x: Tensor,
  indices: Tensor,
  kernelSize: number | Pair,
  options: MaxUnpoolOptions = {},
): Tensor {
  const op = "maxUnpool2d";
  const kernel = pairOf(op, "kernelSize", kernelSize, 1, 1);
  const stride = pairOf(op, "stride", options.stride, kernel, 1);
  const padding = pairOf(op, "padding", options.padding, 0, 0);
  checkDType(op, x, ["float32", "float64"]);
  checkDType(op, indices, ["int32"]);
  if ((x.ndim !== 3 && x.ndim !== 4) || !sameShape(x.shape, indices.shape)) {
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)} and indices ${formatShape(indices.shape)}; expected both [n, c, oh, ow] or [c, oh, ow]`,
    );
  }
  if (x.ndim === 3) {
    const [one, places] = [unsqueeze(x, 0), unsqueeze(indices, 0)];
    return squeeze(maxUnpool2d(one, places, kernelSize, options), 0);
  }
  const standard = kernel.map(
    (extent, d) => (x.shape[d + 2] - 1) * stride[d] - 2 * padding[d] + extent,
  );
  const [h, w] = pairOf(op, "outputSize", options.outputSize, standard as [number, number], 1);
  const [n, c] = x.shape;
  if (indices.size > 0) checkPlaces(op, indices, h * w);
  const empty = filledLike(x, [n, c, h * w], 0);
  const places = flatPlanes(indices);
  const y = run(scatterAddOp, [empty, places, flatPlanes(x)], { dim: 2, label: op });
  return reshape(y, [n, c, h, w]);
}

/** Where nothing can be read at once the device checks what it scatters by, and tells with the next read. */
function checkPlaces(op: string, indices: Tensor, size: number): void {
  if (!indices.backend.capabilities().syncReads) return;
  const outside = indices.dataSync().find((place) => place < 0 || place >= size);
  if (outside === undefined) return;
  throw new ValueError(
    `${op}: index ${outside} is outside of the ${size} places of a channel; give the outputSize that was pooled`,
  );
}
