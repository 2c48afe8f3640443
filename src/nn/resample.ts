/** Interpolation as a layer. */
import type { UpsampleOptions } from "../ops/upsample.ts";
import { upsample } from "../ops/upsample.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** Interpolation to a size or by a factor; see `upsample`. */
export class Upsample extends Module {
  readonly options: UpsampleOptions;

  constructor(options: UpsampleOptions) {
    super();
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return upsample(x, this.options);
  }
}
