/** What layers with parameters share, and Linear; initial values are PyTorch's. */
import type { DeviceName, DType } from "../backend/backend.ts";
import { ValueError } from "../errors.ts";
import { zeros } from "../ops/creation.ts";
import type { EpilogueOptions } from "../ops/epilogue.ts";
import { linear } from "../ops/linear.ts";
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

  /** `options.activation` is applied inside the product; `Sequential` asks for it by itself. */
  forward(x: Tensor, options: EpilogueOptions = {}): Tensor {
    if (!this.training) warnAtY("Linear in eval mode", [this.weight]);
    return linear(x, this.weight, this.bias, options);
  }
}
