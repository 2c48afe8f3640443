/** Layers with parameters, initialised as PyTorch initialises them. */
import type { DeviceName, DType } from "../backend/backend.ts";
import { ValueError } from "../errors.ts";
import type { ConvOptions, Pair } from "../ops/conv.ts";
import { conv2d, pairOf } from "../ops/conv.ts";
import { zeros } from "../ops/creation.ts";
import { linear } from "../ops/matmul.ts";
import type { Generator } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { kaimingUniform, uniform } from "./init/index.ts";
import { Module, parameter, warnAtY } from "./module.ts";

export interface LayerOptions {
  /** Default: the device chosen by `init`. */
  device?: DeviceName;
  /** Default: the device's float type. */
  dtype?: DType;
  /** Source of the initial values. Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
}

export function checkCount(op: string, name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new ValueError(`${op}: ${name} is ${value}; expected a whole number from 1 up`);
}

/** weight uniform on ±1/√fanIn (kaimingUniform with a = √5), bias too: torch.nn's default. */
export function initialise(
  weight: Tensor,
  bias: Tensor | null,
  fanIn: number,
  generator?: Generator,
): void {
  kaimingUniform(weight, { a: Math.sqrt(5), generator });
  if (bias !== null) uniform(bias, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn), generator);
}

/** y = x · weightᵀ + bias: [..., in] → [..., out]. weight [out, in], bias [out]. */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: Tensor;
  bias: Tensor | null;

  /** `options.bias` (default true): add a bias. */
  constructor(
    inFeatures: number,
    outFeatures: number,
    options: LayerOptions & { bias?: boolean } = {},
  ) {
    super();
    checkCount("Linear", "inFeatures", inFeatures);
    checkCount("Linear", "outFeatures", outFeatures);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = parameter(zeros([outFeatures, inFeatures], options));
    this.bias = (options.bias ?? true) ? parameter(zeros([outFeatures], options)) : null;
    initialise(this.weight, this.bias, inFeatures, options.generator);
  }

  forward(x: Tensor): Tensor {
    if (!this.training) warnAtY("Linear in eval mode", [this.weight]);
    return linear(x, this.weight, this.bias);
  }
}

/** Convolution [n, in, h, w] → [n, out, oh, ow]. weight [out, in/groups, kh, kw], bias [out]. */
export class Conv2d extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly options: ConvOptions;
  weight: Tensor;
  bias: Tensor | null;

  /** Defaults: stride 1, padding 0, dilation 1, groups 1, bias true. */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | Pair,
    options: ConvOptions & LayerOptions & { bias?: boolean } = {},
  ) {
    super();
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
    checkCount("Conv2d", "inChannels", inChannels);
    checkCount("Conv2d", "outChannels", outChannels);
    checkCount("Conv2d", "groups", groups);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new ValueError(
        `Conv2d: groups is ${groups}; expected a divisor of ${inChannels} input and ${outChannels} output channels`,
      );
    }
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = pairOf("Conv2d", "kernelSize", kernelSize, 1, 1);
    this.options = {
      stride: pairOf("Conv2d", "stride", stride, 1, 1),
      padding: pairOf("Conv2d", "padding", padding, 0, 0),
      dilation: pairOf("Conv2d", "dilation", dilation, 1, 1),
      groups,
    };
    const perGroup = inChannels / groups;
    const shape = [outChannels, perGroup, ...this.kernelSize];
    this.weight = parameter(zeros(shape, { device: options.device, dtype: options.dtype }));
    this.bias =
      (options.bias ?? true)
        ? parameter(zeros([outChannels], { device: options.device, dtype: options.dtype }))
        : null;
    const fanIn = perGroup * this.kernelSize[0] * this.kernelSize[1];
    initialise(this.weight, this.bias, fanIn, options.generator);
  }

  forward(x: Tensor): Tensor {
    if (!this.training) warnAtY("Conv2d in eval mode", [this.weight]);
    return conv2d(x, this.weight, this.bias, this.options);
  }
}
