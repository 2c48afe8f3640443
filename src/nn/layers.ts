/** What layers with parameters share, and Linear; initial values are PyTorch's. */
import type { DeviceName, DType } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { zeros } from "../ops/creation.ts";
import type { EpilogueOptions } from "../ops/epilogue.ts";
import { linear } from "../ops/linear.ts";
import type { Generator } from "../random.ts";
import type { Shape } from "../shape.ts";
import { formatShape, sameShape } from "../shape.ts";
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
  if (bias !== null) initialiseBias(bias, fanIn, generator);
}

function initialiseBias(bias: Tensor, fanIn: number, generator?: Generator): void {
  uniform(bias, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn), generator);
}

export interface SharedWeight {
  /**
   * Another module's parameter, which both then have: tied weights, as of an embedding and the layer that
   * gives logits. It is trained, counted and released once; files hold it under each name. Default: a new one.
   */
  weight?: Tensor;
}

/** A weight that was handed to a constructor, checked. */
export function shared(op: string, weight: Tensor, shape: Shape): Tensor {
  if (!sameShape(weight.shape, shape)) {
    throw new ShapeError(
      `${op}: weight has the shape ${formatShape(weight.shape)}; expected ${formatShape(shape)}`,
    );
  }
  if (weight.requiresGrad || weight.frozen) return weight;
  throw new ValueError(
    `${op}: weight is ${weight.describe()}, not a parameter; expected one of another module, or nn.parameter(x)`,
  );
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
    options: LayerOptions & SharedWeight & { bias?: boolean } = {},
  ) {
    super();
    checkCount("Linear", "inFeatures", inFeatures);
    checkCount("Linear", "outFeatures", outFeatures);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    const { bias = true, weight, generator } = options;
    const shape = [outFeatures, inFeatures];
    this.weight = weight ? shared("Linear", weight, shape) : parameter(zeros(shape, options));
    const { device, dtype } = this.weight;
    this.bias = bias ? parameter(zeros([outFeatures], { device, dtype })) : null;
    if (!weight) initialise(this.weight, this.bias, inFeatures, generator);
    else if (this.bias !== null) initialiseBias(this.bias, inFeatures, generator);
  }

  /** `options.activation` is applied inside the product; `Sequential` asks for it by itself. */
  forward(x: Tensor, options: EpilogueOptions = {}): Tensor {
    if (!this.training) warnAtY("Linear in eval mode", [this.weight]);
    return linear(x, this.weight, this.bias, options);
  }
}
