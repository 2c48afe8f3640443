/** Pooling as layers. */
import { adaptiveMaxPool2d } from "../ops/adaptive-max.ts";
import type { Pair } from "../ops/conv.ts";
import type { AvgPoolOptions, MaxPoolOptions, ReluOptions } from "../ops/pool.ts";
import { avgPool2d, maxPool2d } from "../ops/pool.ts";
import type { AvgPool1dOptions, MaxPool1dOptions } from "../ops/pool-1d.ts";
import { adaptiveAvgPool1d, avgPool1d, maxPool1d } from "../ops/pool-1d.ts";
import { adaptiveAvgPool2d } from "../ops/resample.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** Largest element of each window; the stride is the kernel's size by default. */
export class MaxPool2d extends Module {
  readonly kernelSize: number | Pair;
  readonly options: MaxPoolOptions;

  constructor(kernelSize: number | Pair, options: MaxPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  /** `epilogue.activation`: relu of the result; `Sequential` asks for it by itself. */
  forward(x: Tensor, epilogue: ReluOptions = {}): Tensor {
    return maxPool2d(x, this.kernelSize, { ...this.options, ...epilogue });
  }
}

/** Mean of each window; the stride is the kernel's size by default. */
export class AvgPool2d extends Module {
  readonly kernelSize: number | Pair;
  readonly options: AvgPoolOptions;

  constructor(kernelSize: number | Pair, options: AvgPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
}

/** As `MaxPool2d`, of sequences [n, c, l]. */
export class MaxPool1d extends Module {
  readonly kernelSize: number;
  readonly options: MaxPool1dOptions;

  constructor(kernelSize: number, options: MaxPool1dOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return maxPool1d(x, this.kernelSize, this.options);
  }
}

/** As `AvgPool2d`, of sequences [n, c, l]. */
export class AvgPool1d extends Module {
  readonly kernelSize: number;
  readonly options: AvgPool1dOptions;

  constructor(kernelSize: number, options: AvgPool1dOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return avgPool1d(x, this.kernelSize, this.options);
  }
}

type ImageSize = number | null | readonly [number | null, number | null];

/** Means of windows that cover the image evenly; see `adaptiveAvgPool2d`. */
export class AdaptiveAvgPool2d extends Module {
  readonly outputSize: ImageSize;

  /** `outputSize`: one number for both, or [rows, columns]; null keeps the input's. */
  constructor(outputSize: ImageSize) {
    super();
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}

/** Maxima of windows that cover the image evenly; see `adaptiveMaxPool2d`. */
export class AdaptiveMaxPool2d extends Module {
  readonly outputSize: ImageSize;

  /** `outputSize`: one number for both, or [rows, columns]; null keeps the input's. */
  constructor(outputSize: ImageSize) {
    super();
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, this.outputSize);
  }
}

/** Means of windows that cover the sequence evenly; see `adaptiveAvgPool1d`. */
export class AdaptiveAvgPool1d extends Module {
  readonly outputSize: number;

  constructor(outputSize: number) {
    super();
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool1d(x, this.outputSize);
  }
}
