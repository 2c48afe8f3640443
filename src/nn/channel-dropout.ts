/** Dropout of whole channels, whose neighbouring elements tell the same (J. Tompson et al., arXiv 1411.4280). */
import { ShapeError, ValueError } from "../errors.ts";
import { mul } from "../ops/arithmetic.ts";
import { ones } from "../ops/creation.ts";
import { dropout } from "../ops/random.ts";
import type { Generator } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** What the dropouts of whole channels share. */
abstract class ChannelDropout extends Module {
  readonly p: number;
  private readonly layerName: string;
  private readonly generator: Generator | undefined;

  protected constructor(name: string, p: number, options: { generator?: Generator }) {
    super();
    if (!(p >= 0 && p <= 1)) throw new ValueError(`${name}: p is ${p}; expected 0 to 1`);
    this.p = p;
    this.layerName = name;
    this.generator = options.generator;
  }

  /** x with channels dropped, if it has one of the ranks; its last `inner` dimensions are a channel. */
  protected drop(x: Tensor, inner: number, ranks: readonly number[], form: string): Tensor {
    const { p, training, generator } = this;
    if (!ranks.includes(x.ndim)) {
      throw new ShapeError(`${this.layerName}: found ${x.describe()}; expected ${form}`);
    }
    if (!training || p === 0) return x;
    const channels = x.shape.map((extent, d) => (d < x.ndim - inner ? extent : 1));
    const mask = ones(channels, { dtype: x.dtype, device: x.device });
    return mul(x, dropout(mask, { p, generator }));
  }
}

/** While training, each channel of [n, c, l] or [c, l] becomes 0 with probability p (default 0.5), others x/(1-p). */
export class Dropout1d extends ChannelDropout {
  constructor(p = 0.5, options: { generator?: Generator } = {}) {
    super("Dropout1d", p, options);
  }

  forward(x: Tensor): Tensor {
    return this.drop(x, 1, [2, 3], "[n, c, l] or [c, l]");
  }
}

/** While training, each channel of [n, c, h, w] becomes 0 with probability p (default 0.5), others x/(1-p). */
export class Dropout2d extends ChannelDropout {
  constructor(p = 0.5, options: { generator?: Generator } = {}) {
    super("Dropout2d", p, options);
  }

  forward(x: Tensor): Tensor {
    return this.drop(x, 2, [4], "[n, c, h, w]");
  }
}
