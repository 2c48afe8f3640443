/** Normalisation of each sample by itself: no running statistics, the same in both modes. */
import { ShapeError, ValueError } from "../errors.ts";
import { ones, zeros } from "../ops/creation.ts";
import { groupNorm, layerNorm, rmsNorm } from "../ops/layer-norm.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount } from "./layers.ts";
import { Module, parameter, warnAtY } from "./module.ts";

export interface NormOptions extends Pick<LayerOptions, "device" | "dtype"> {
  /** Added to the variance. Default 1e-5. */
  eps?: number;
  /** Learn a weight and a bias, 1 and 0 at first. Default true. */
  elementwiseAffine?: boolean;
  /** With a weight: learn a bias too. Default true. */
  bias?: boolean;
}

function shapeOf(op: string, normalizedShape: number | Shape): Shape {
  const shape = typeof normalizedShape === "number" ? [normalizedShape] : [...normalizedShape];
  for (const extent of shape) checkCount(op, "normalizedShape", extent);
  return shape;
}

function checkEps(op: string, eps: number): number {
  if (eps >= 0) return eps;
  throw new ValueError(`${op}: eps is ${eps}; expected a number ≥ 0`);
}

/** Layer normalisation over the last dimensions; see `layerNorm`. weight and bias of normalizedShape. */
export class LayerNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number;
  weight: Tensor | null;
  bias: Tensor | null;

  constructor(normalizedShape: number | Shape, options: NormOptions = {}) {
    super();
    const { eps = 1e-5, elementwiseAffine = true, bias = true, device, dtype } = options;
    this.normalizedShape = shapeOf("LayerNorm", normalizedShape);
    this.eps = checkEps("LayerNorm", eps);
    const make = { device, dtype };
    this.weight = elementwiseAffine ? parameter(ones(this.normalizedShape, make)) : null;
    this.bias = elementwiseAffine && bias ? parameter(zeros(this.normalizedShape, make)) : null;
  }

  /** Of x, or of x + residual in one pass. */
  forward(x: Tensor, residual: Tensor | null = null): Tensor {
    const { weight, bias, eps } = this;
    if (!this.training && weight !== null) warnAtY("LayerNorm in eval mode", [weight]);
    return layerNorm(x, this.normalizedShape, { residual, weight, bias, eps });
  }
}

export interface RMSNormOptions extends Pick<
  NormOptions,
  "device" | "dtype" | "elementwiseAffine"
> {
  /** Added to the mean square. Default (null): the distance from 1 to the next number of x's dtype. */
  eps?: number | null;
}

/** Division by the root of the mean square; see `rmsNorm`. weight of normalizedShape. */
export class RMSNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number | null;
  weight: Tensor | null;

  constructor(normalizedShape: number | Shape, options: RMSNormOptions = {}) {
    super();
    const { eps = null, elementwiseAffine = true, device, dtype } = options;
    this.normalizedShape = shapeOf("RMSNorm", normalizedShape);
    this.eps = eps === null ? null : checkEps("RMSNorm", eps);
    this.weight = elementwiseAffine
      ? parameter(ones(this.normalizedShape, { device, dtype }))
      : null;
  }

  /** Of x, or of x + residual in one pass. */
  forward(x: Tensor, residual: Tensor | null = null): Tensor {
    const { weight, eps } = this;
    if (!this.training && weight !== null) warnAtY("RMSNorm in eval mode", [weight]);
    return rmsNorm(x, this.normalizedShape, { residual, weight, eps });
  }
}

export interface GroupNormLayerOptions extends Pick<NormOptions, "device" | "dtype" | "eps"> {
  /** Learn weight and bias per channel. Default true. */
  affine?: boolean;
}

/** Normalisation of [n, c, ...] over groups of channels; see `groupNorm`. weight and bias [c]. */
export class GroupNorm extends Module {
  readonly numGroups: number;
  readonly numChannels: number;
  readonly eps: number;
  weight: Tensor | null;
  bias: Tensor | null;

  constructor(numGroups: number, numChannels: number, options: GroupNormLayerOptions = {}) {
    super();
    const { eps = 1e-5, affine = true, device, dtype } = options;
    checkCount("GroupNorm", "numGroups", numGroups);
    checkCount("GroupNorm", "numChannels", numChannels);
    if (numChannels % numGroups !== 0) {
      throw new ValueError(
        `GroupNorm: numGroups is ${numGroups}; expected a divisor of ${numChannels} channels`,
      );
    }
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = checkEps("GroupNorm", eps);
    this.weight = affine ? parameter(ones([numChannels], { device, dtype })) : null;
    this.bias = affine ? parameter(zeros([numChannels], { device, dtype })) : null;
  }

  forward(x: Tensor): Tensor {
    if (x.shape[1] !== this.numChannels) {
      throw new ShapeError(
        `GroupNorm: found ${x.describe()}; expected [n, ${this.numChannels}, ...]`,
      );
    }
    const { weight, bias, eps } = this;
    if (!this.training && weight !== null) warnAtY("GroupNorm in eval mode", [weight]);
    return groupNorm(x, this.numGroups, { weight, bias, eps });
  }
}
