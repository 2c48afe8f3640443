/** Activation layers beyond the common ones (stateless.ts): each is the function of its name. */
import { elu, logSigmoid, softplus } from "../ops/activation.ts";
import {
  celu,
  glu,
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  mish,
  prelu,
  relu6,
  selu,
  softshrink,
  softsign,
  tanhshrink,
  threshold,
} from "../ops/activation-composed.ts";
import { full } from "../ops/creation.ts";
import { logSoftmax, softmax } from "../ops/softmax.ts";
import type { Tensor } from "../tensor.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount } from "./layers.ts";
import { Module, parameter, warnAtY } from "./module.ts";

/** x, or alpha · (exp(x) − 1) where x is negative. Default alpha 1. */
export class ELU extends Module {
  readonly alpha: number;

  constructor(alpha = 1) {
    super();
    this.alpha = alpha;
  }

  forward(x: Tensor): Tensor {
    return elu(x, this.alpha);
  }
}

/** elu with the constants that keep mean 0 and variance 1; see `selu`. */
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return selu(x);
  }
}

/** x, or alpha · (exp(x / alpha) − 1) where x is negative. Default alpha 1. */
export class CELU extends Module {
  readonly alpha: number;

  constructor(alpha = 1) {
    super();
    this.alpha = alpha;
  }

  forward(x: Tensor): Tensor {
    return celu(x, this.alpha);
  }
}

/** log(1 + exp(beta x)) / beta; x itself where beta x > threshold. Defaults 1 and 20. */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;

  constructor(options: { beta?: number; threshold?: number } = {}) {
    super();
    this.beta = options.beta ?? 1;
    this.threshold = options.threshold ?? 20;
  }

  forward(x: Tensor): Tensor {
    return softplus(x, { beta: this.beta, threshold: this.threshold });
  }
}

/** x / (1 + |x|) */
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return softsign(x);
  }
}

/** x · tanh(softplus(x)) */
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return mish(x);
  }
}

/** x limited to [min, max], by default [-1, 1]. */
export class Hardtanh extends Module {
  readonly min: number;
  readonly max: number;

  constructor(options: { min?: number; max?: number } = {}) {
    super();
    this.min = options.min ?? -1;
    this.max = options.max ?? 1;
  }

  forward(x: Tensor): Tensor {
    return hardtanh(x, { min: this.min, max: this.max });
  }
}

/** min(max(x, 0), 6) */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return relu6(x);
  }
}

/** relu6(x + 3) / 6 */
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return hardsigmoid(x);
  }
}

/** x · relu6(x + 3) / 6 */
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return hardswish(x);
  }
}

/** log(sigmoid(x)) */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return logSigmoid(x);
  }
}

/** x − tanh(x) */
export class Tanhshrink extends Module {
  forward(x: Tensor): Tensor {
    return tanhshrink(x);
  }
}

/** x moved towards 0 by `lambda` (default 0.5). */
export class Softshrink extends Module {
  readonly lambda: number;

  constructor(lambda = 0.5) {
    super();
    this.lambda = lambda;
  }

  forward(x: Tensor): Tensor {
    return softshrink(x, this.lambda);
  }
}

/** x where |x| > `lambda` (default 0.5), elsewhere 0. */
export class Hardshrink extends Module {
  readonly lambda: number;

  constructor(lambda = 0.5) {
    super();
    this.lambda = lambda;
  }

  forward(x: Tensor): Tensor {
    return hardshrink(x, this.lambda);
  }
}

/** x where x > `threshold`, elsewhere `value`. */
export class Threshold extends Module {
  readonly threshold: number;
  readonly value: number;

  constructor(threshold: number, value: number) {
    super();
    this.threshold = threshold;
    this.value = value;
  }

  forward(x: Tensor): Tensor {
    return threshold(x, this.threshold, this.value);
  }
}

/** x, or weight · x where x is negative, one learnt weight for all channels or one for each. */
export class PReLU extends Module {
  weight: Tensor;

  /** `numParameters` (default 1): 1, or the number of channels; `init` (default 0.25): where they start. */
  constructor(
    numParameters = 1,
    options: Omit<LayerOptions, "generator"> & { init?: number } = {},
  ) {
    super();
    checkCount("PReLU", "numParameters", numParameters);
    const { init = 0.25, device, dtype } = options;
    this.weight = parameter(full([numParameters], init, { device, dtype }));
  }

  forward(x: Tensor): Tensor {
    if (!this.training) warnAtY("PReLU in eval mode", [this.weight]);
    return prelu(x, this.weight);
  }
}

/** The first half along `dim` (default the last) times the sigmoid of the second. */
export class GLU extends Module {
  readonly dim: number;

  constructor(dim = -1) {
    super();
    this.dim = dim;
  }

  forward(x: Tensor): Tensor {
    return glu(x, this.dim);
  }
}

/** exp(x) / Σ exp(x) along `dim`. */
export class Softmax extends Module {
  readonly dim: number;

  constructor(dim: number) {
    super();
    this.dim = dim;
  }

  forward(x: Tensor): Tensor {
    return softmax(x, this.dim);
  }
}

/** x − log Σ exp(x) along `dim`. */
export class LogSoftmax extends Module {
  readonly dim: number;

  constructor(dim: number) {
    super();
    this.dim = dim;
  }

  forward(x: Tensor): Tensor {
    return logSoftmax(x, this.dim);
  }
}
