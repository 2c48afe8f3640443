/** Single steps of recurrent layers, for loops over time of one's own. */
import { ShapeError } from "../errors.ts";
import { zeros } from "../ops/creation.ts";
import { squeeze, unsqueeze } from "../ops/movement.ts";
import type { RecurrentState, RecurrentWeights } from "../ops/recurrent.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { uniform } from "./init/index.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount } from "./layers.ts";
import { Module, parameter, snakeCase, warnAtY } from "./module.ts";
import type { RecurrentKind } from "./recurrent.ts";
import { checkNonlinearity, recurrentKinds } from "./recurrent.ts";

export interface CellOptions extends LayerOptions {
  /** Add biases. Default true. */
  bias?: boolean;
}

/**
 * What the cells share. Parameters have PyTorch's names, weight_ih [gates·hidden, in], weight_hh
 * [gates·hidden, hidden], bias_ih and bias_hh [gates·hidden]; all start uniform on ±1/√hidden.
 */
abstract class Cell extends Module {
  readonly inputSize: number;
  readonly hiddenSize: number;
  weightIh: Tensor;
  weightHh: Tensor;
  biasIh: Tensor | null;
  biasHh: Tensor | null;
  private readonly layerName: string;
  private readonly kind: RecurrentKind;

  protected constructor(
    name: string,
    kind: RecurrentKind,
    inputSize: number,
    hiddenSize: number,
    options: CellOptions,
  ) {
    super();
    checkCount(name, "inputSize", inputSize);
    checkCount(name, "hiddenSize", hiddenSize);
    const { bias = true, device, dtype, generator } = options;
    this.layerName = name;
    this.kind = kind;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    const rows = kind.gates * hiddenSize;
    const bound = 1 / Math.sqrt(hiddenSize);
    const make = (...shape: number[]): Tensor =>
      uniform(parameter(zeros(shape, { device, dtype })), -bound, bound, generator);
    this.weightIh = make(rows, inputSize);
    this.weightHh = make(rows, hiddenSize);
    this.biasIh = bias ? make(rows) : null;
    this.biasHh = bias ? make(rows) : null;
  }

  /** weight_ih, … */
  protected override tensorName(property: string): string {
    return snakeCase(property);
  }

  /** One step as a sequence of one. */
  protected step(x: Tensor, state: RecurrentState): { h: Tensor; c?: Tensor } {
    const { layerName: name, inputSize, hiddenSize, training } = this;
    if (!training) warnAtY(`${name} in eval mode`, [this.weightIh]);
    const single = x.ndim === 1;
    if ((!single && x.ndim !== 2) || x.shape[x.ndim - 1] !== inputSize) {
      throw new ShapeError(
        `${name}: found ${x.describe()}; expected [batch, ${inputSize}], or [${inputSize}] for one sequence`,
      );
    }
    const expected = [...x.shape.slice(0, -1), hiddenSize];
    const [h, c] = (["h", "c"] as const).map((key) => {
      const given = state[key];
      if (!given) return null;
      if (!sameShape(given.shape, expected)) {
        throw new ShapeError(
          `${name}: ${key} has the shape ${formatShape(given.shape)}; expected ${formatShape(expected)} for ${x.describe()}`,
        );
      }
      return single ? unsqueeze(given, 0) : given;
    });
    const weights: RecurrentWeights = this;
    const batch = single ? unsqueeze(x, 0) : x;
    const next = this.kind.layer(unsqueeze(batch, 0), weights, { h, c });
    const last = (y: Tensor): Tensor => (single ? squeeze(y, 0) : y);
    return next.c === undefined ? { h: last(next.h) } : { h: last(next.h), c: last(next.c) };
  }
}

/** One step of Elman's recurrence; see `rnn`. */
export class RNNCell extends Cell {
  /** `options.nonlinearity`: "tanh" (default) or "relu". */
  constructor(
    inputSize: number,
    hiddenSize: number,
    options: CellOptions & { nonlinearity?: "tanh" | "relu" } = {},
  ) {
    const kind = recurrentKinds[checkNonlinearity("RNNCell", options.nonlinearity)];
    super("RNNCell", kind, inputSize, hiddenSize, options);
  }

  /** x [batch, in] and h [batch, hidden] (default: zeros) → the next h; all without `batch` for one sequence. */
  forward(x: Tensor, state: { h?: Tensor | null } = {}): { h: Tensor } {
    return this.step(x, { h: state.h });
  }
}

/** One step of a long short-term memory; see `lstm`. */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super("LSTMCell", recurrentKinds.lstm, inputSize, hiddenSize, options);
  }

  /**
   * x [batch, in], h and c [batch, hidden] (default: zeros) → the next h and c; all without `batch` for one
   * sequence.
   */
  forward(x: Tensor, state: RecurrentState = {}): { h: Tensor; c: Tensor } {
    const { h, c } = this.step(x, state);
    return { h, c: c! };
  }
}

/** One step of gated recurrent units; see `gru`. */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super("GRUCell", recurrentKinds.gru, inputSize, hiddenSize, options);
  }

  /** x [batch, in] and h [batch, hidden] (default: zeros) → the next h; all without `batch` for one sequence. */
  forward(x: Tensor, state: { h?: Tensor | null } = {}): { h: Tensor } {
    return this.step(x, { h: state.h });
  }
}
