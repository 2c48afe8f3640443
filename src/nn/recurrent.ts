/** Recurrent layers: several in a stack, in one or both directions. */
import { ShapeError, ValueError } from "../errors.ts";
import { reshape } from "../ops/broadcast.ts";
import { zeros } from "../ops/creation.ts";
import { gru } from "../ops/gru.ts";
import { lstm } from "../ops/lstm.ts";
import { concat, narrow, squeeze, stack, transpose, unsqueeze } from "../ops/movement.ts";
import { dropout } from "../ops/random.ts";
import type { RecurrentState, RecurrentWeights, SequenceOptions } from "../ops/recurrent.ts";
import { rnn } from "../ops/rnn.ts";
import type { Generator } from "../random.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { uniform } from "./init/index.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount } from "./layers.ts";
import { Module, parameter, warnAtY } from "./module.ts";

/** One layer in one direction, as the recurrent operations run it. */
type RunLayer = (
  x: Tensor,
  weights: RecurrentWeights,
  options: SequenceOptions & RecurrentState,
) => { output: Tensor; h: Tensor; c?: Tensor };

/** What a recurrent module computes. */
export interface RecurrentKind {
  readonly gates: number;
  readonly layer: RunLayer;
}

/** By PyTorch's names. */
export const recurrentKinds: Readonly<Record<"tanh" | "relu" | "lstm" | "gru", RecurrentKind>> = {
  tanh: { gates: 1, layer: rnn },
  relu: {
    gates: 1,
    layer: (x, weights, options) => rnn(x, weights, { ...options, nonlinearity: "relu" }),
  },
  lstm: { gates: 4, layer: lstm },
  gru: { gates: 3, layer: gru },
};

export interface RecurrentOptions extends LayerOptions {
  /** Layers in the stack; each takes the outputs of the one below. Default 1. */
  numLayers?: number;
  /** Add biases. Default true. */
  bias?: boolean;
  /** Inputs and outputs are [batch, time, …] instead of [time, batch, …]; states stay. Default false. */
  batchFirst?: boolean;
  /** Probability with which outputs between layers become 0 while training. Default 0. */
  dropout?: number;
  /** Run over the sequence in both directions, and join the outputs. Default false. */
  bidirectional?: boolean;
}

/**
 * What the recurrent modules share. Parameters have PyTorch's names, weight_ih_l0 [gates·hidden, in],
 * weight_hh_l0 [gates·hidden, hidden], bias_ih_l0, bias_hh_l0, with a projection weight_hr_l0
 * [projSize, hidden], then weight_ih_l0_reverse, …, l1, …; all start uniform on ±1/√hidden.
 */
abstract class Recurrent extends Module {
  [name: `weight_${string}`]: Tensor;
  [name: `bias_${string}`]: Tensor;
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;
  /** Extent of h where it is projected, else 0. */
  readonly projSize: number;
  private readonly layerName: string;
  private readonly kind: RecurrentKind;
  private readonly generator: Generator | undefined;

  protected constructor(
    name: string,
    kind: RecurrentKind,
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions,
    projSize = 0,
  ) {
    super();
    this.layerName = name;
    const { numLayers = 1, bias = true, batchFirst = false, bidirectional = false } = options;
    const { dropout: p = 0, device, dtype, generator } = options;
    checkCount(name, "inputSize", inputSize);
    checkCount(name, "hiddenSize", hiddenSize);
    checkCount(name, "numLayers", numLayers);
    if (!(p >= 0 && p <= 1)) throw new ValueError(`${name}: dropout is ${p}; expected 0 to 1`);
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.bias = bias;
    this.batchFirst = batchFirst;
    this.dropout = p;
    this.bidirectional = bidirectional;
    this.projSize = projSize;
    this.kind = kind;
    this.generator = generator;
    const rows = kind.gates * hiddenSize;
    const bound = 1 / Math.sqrt(hiddenSize);
    const make = (...shape: number[]): Tensor =>
      uniform(parameter(zeros(shape, { device, dtype })), -bound, bound, generator);
    for (let layer = 0; layer < numLayers; layer++) {
      const width = layer === 0 ? inputSize : this.outputSize * this.directions.length;
      for (const suffix of this.directions) {
        this[`weight_ih_l${layer}${suffix}`] = make(rows, width);
        this[`weight_hh_l${layer}${suffix}`] = make(rows, this.outputSize);
        if (bias) {
          this[`bias_ih_l${layer}${suffix}`] = make(rows);
          this[`bias_hh_l${layer}${suffix}`] = make(rows);
        }
        if (projSize > 0) this[`weight_hr_l${layer}${suffix}`] = make(projSize, hiddenSize);
      }
    }
  }

  private get directions(): readonly ("" | "_reverse")[] {
    return this.bidirectional ? ["", "_reverse"] : [""];
  }

  /** Extent of h. */
  private get outputSize(): number {
    return this.projSize > 0 ? this.projSize : this.hiddenSize;
  }

  private weights(layer: number, suffix: string): RecurrentWeights {
    return {
      weightIh: this[`weight_ih_l${layer}${suffix}`],
      weightHh: this[`weight_hh_l${layer}${suffix}`],
      biasIh: this.bias ? this[`bias_ih_l${layer}${suffix}`] : null,
      biasHh: this.bias ? this[`bias_hh_l${layer}${suffix}`] : null,
      weightHr: this.projSize > 0 ? this[`weight_hr_l${layer}${suffix}`] : null,
    };
  }

  /**
   * Outputs of the top layer, and the last states of all layers and directions, bottom up. A sequence without a
   * batch, [time, in], has states and outputs without one.
   */
  protected run(x: Tensor, state: RecurrentState): { output: Tensor; h: Tensor; c: Tensor | null } {
    const { batchFirst, inputSize, training } = this;
    const name = this.layerName;
    if (!training) warnAtY(`${name} in eval mode`, [this.weight_ih_l0]);
    if ((x.ndim !== 2 && x.ndim !== 3) || x.shape[x.ndim - 1] !== inputSize) {
      const order = batchFirst ? "batch, time" : "time, batch";
      throw new ShapeError(
        `${name}: found ${x.describe()}; expected [${order}, ${inputSize}], or [time, ${inputSize}] for one sequence`,
      );
    }
    if (x.ndim === 3) {
      const result = this.runBatch(batchFirst ? transpose(x, 0, 1) : x, {
        h: this.checked(state, "h", [x.shape[batchFirst ? 0 : 1]]),
        c: this.checked(state, "c", [x.shape[batchFirst ? 0 : 1]]),
      });
      return { ...result, output: batchFirst ? transpose(result.output, 0, 1) : result.output };
    }
    const [h, c] = (["h", "c"] as const).map((key) => {
      const given = this.checked(state, key, []);
      return given && unsqueeze(given, 1);
    });
    const result = this.runBatch(unsqueeze(x, 1), { h, c });
    const single = (y: Tensor): Tensor => squeeze(y, 1);
    const { output, h: lastH, c: lastC } = result;
    return { output: single(output), h: single(lastH), c: lastC && single(lastC) };
  }

  /** [time, batch, in] through all layers. */
  private runBatch(
    x: Tensor,
    state: RecurrentState,
  ): { output: Tensor; h: Tensor; c: Tensor | null } {
    const { kind, dropout: p, training, generator } = this;
    const h: Tensor[] = [];
    const c: Tensor[] = [];
    let output = x;
    for (let layer = 0; layer < this.numLayers; layer++) {
      const below = layer > 0 ? dropout(output, { p, training, generator }) : output;
      const outputs = this.directions.map((suffix) => {
        const start = { h: partOf(state.h, h.length), c: partOf(state.c, h.length) };
        const options = { ...start, reverse: suffix === "_reverse" };
        const result = kind.layer(below, this.weights(layer, suffix), options);
        h.push(result.h);
        if (result.c !== undefined) c.push(result.c);
        return result.output;
      });
      output = outputs.length === 1 ? outputs[0] : concat(outputs, 2);
    }
    return { output, h: stack(h), c: c.length > 0 ? stack(c) : null };
  }

  /** A given state, [layers·directions, (batch,) hidden]. */
  private checked(state: RecurrentState, name: "h" | "c", batch: number[]): Tensor | null {
    const given = state[name];
    if (!given) return null;
    const size = name === "h" ? this.outputSize : this.hiddenSize;
    const expected = [this.numLayers * this.directions.length, ...batch, size];
    if (sameShape(given.shape, expected)) return given;
    throw new ShapeError(
      `${this.layerName}: ${name} has the shape ${formatShape(given.shape)}; expected ${formatShape(expected)}, ` +
        `layers times directions, ${batch.length > 0 ? "batch and hidden" : "and hidden, as the input has no batch"}`,
    );
  }
}

/** One layer's and direction's part of a state. */
function partOf(state: Tensor | null | undefined, at: number): Tensor | null {
  return state ? reshape(narrow(state, 0, at, 1), state.shape.slice(1)) : null;
}

/** Throws ValueError for what is neither. */
export function checkNonlinearity(name: string, given: string = "tanh"): "tanh" | "relu" {
  if (given === "tanh" || given === "relu") return given;
  throw new ValueError(`${name}: nonlinearity is "${given}"; expected "tanh" or "relu"`);
}

/** Elman's recurrent layers; see `rnn`. */
export class RNN extends Recurrent {
  /** `options.nonlinearity`: "tanh" (default) or "relu". */
  constructor(
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions & { nonlinearity?: "tanh" | "relu" } = {},
  ) {
    const kind = recurrentKinds[checkNonlinearity("RNN", options.nonlinearity)];
    super("RNN", kind, inputSize, hiddenSize, options);
  }

  /**
   * x [time, batch, in] and h [layers·directions, batch, hidden] (default: zeros) → output
   * [time, batch, directions·hidden] and the last h, all without `batch` for a single sequence. The result can
   * be the next call's state.
   */
  forward(x: Tensor, state: { h?: Tensor | null } = {}): { output: Tensor; h: Tensor } {
    const { output, h } = this.run(x, { h: state.h });
    return { output, h };
  }
}

export interface LSTMOptions extends RecurrentOptions {
  /** Extent to which h is projected, less than hiddenSize (Sak et al., arXiv 1402.1128). Default 0: not at all. */
  projSize?: number;
}

/** Long short-term memory; see `lstm`. */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    const { projSize = 0 } = options;
    if (!(Number.isInteger(projSize) && projSize >= 0 && projSize < hiddenSize)) {
      throw new ValueError(
        `LSTM: projSize is ${projSize}; expected a whole number below hiddenSize, ${hiddenSize}, or 0 for no projection`,
      );
    }
    super("LSTM", recurrentKinds.lstm, inputSize, hiddenSize, options, projSize);
  }

  /**
   * x [time, batch, in], h and c [layers·directions, batch, hidden] (default: zeros) → output
   * [time, batch, directions·hidden], the last h and c; with projSize, outputs and h have that extent in place
   * of hidden. All without `batch` for a single sequence. The result can be the next call's state.
   */
  forward(x: Tensor, state: RecurrentState = {}): { output: Tensor; h: Tensor; c: Tensor } {
    const { output, h, c } = this.run(x, state);
    return { output, h, c: c! };
  }
}

/** Gated recurrent units; see `gru`. */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super("GRU", recurrentKinds.gru, inputSize, hiddenSize, options);
  }

  /**
   * x [time, batch, in] and h [layers·directions, batch, hidden] (default: zeros) → output
   * [time, batch, directions·hidden] and the last h, all without `batch` for a single sequence. The result can
   * be the next call's state.
   */
  forward(x: Tensor, state: { h?: Tensor | null } = {}): { output: Tensor; h: Tensor } {
    const { output, h } = this.run(x, { h: state.h });
    return { output, h };
  }
}
