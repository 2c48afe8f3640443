/** Layers that leave the elements as they are. */
import { ShapeError } from "../errors.ts";
import { reshape } from "../ops/broadcast.ts";
import { formatShape, normalizeDim, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** x: a place for a layer that may be left out. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Cuts dimension `dim` into `sizes`, whose product is its extent. */
export class Unflatten extends Module {
  readonly dim: number;
  readonly sizes: readonly number[];

  constructor(dim: number, sizes: readonly number[]) {
    super();
    this.dim = dim;
    this.sizes = sizes;
  }

  forward(x: Tensor): Tensor {
    const dim = normalizeDim("Unflatten", this.dim, x.ndim);
    if (sizeOf(this.sizes) !== x.shape[dim]) {
      throw new ShapeError(
        `Unflatten: sizes ${formatShape(this.sizes)} for dimension ${dim} of ${x.describe()}; expected a product of ${x.shape[dim]}`,
      );
    }
    return reshape(x, [...x.shape.slice(0, dim), ...this.sizes, ...x.shape.slice(dim + 1)]);
  }
}
