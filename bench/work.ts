/** A piece of work as data, so that every engine builds it for itself: same shapes, same mathematics. */

/** x [n, c, h, w] by weights [o, c / groups, k, k]. */
export interface ConvShape {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly o: number;
  readonly k: number;
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
}

export type Model =
  /** Linear layers with relu between them; "mse" against [batch, last], else cross entropy. */
  | { readonly name: "layers"; readonly sizes: readonly number[]; readonly loss: "mse" | "cross" }
  /** The two convolutions and two linear layers of PyTorch's MNIST example, both dropouts included. */
  | { readonly name: "cnn" }
  /** Three convolutions without bias, each followed by BatchNorm and relu; pooled twice; one linear layer. */
  | { readonly name: "bncnn" }
  /** The last output of an LSTM over [batch, time, inputs], classified. */
  | {
      readonly name: "lstm";
      readonly inputs: number;
      readonly hidden: number;
      readonly time: number;
    }
  /** A causal transformer: embeddings of characters and positions, blocks with the norm first, gelu. */
  | {
      readonly name: "transformer";
      readonly width: number;
      readonly layers: number;
      readonly heads: number;
      readonly time: number;
      readonly vocabulary: number;
    };

export interface TrainWork {
  readonly kind: "train";
  readonly model: Model;
  readonly batch: number;
  /** Through roadless' `compile`; other engines do what they do without. */
  readonly compiled?: boolean;
  /** Scales the input, or the loss, so far down that what follows from it is denormal. */
  readonly underflow?: "input" | "loss";
}

export type Work =
  /** `count` rounds of assembly/peak.ts, or elements of its triad, on each thread. */
  | {
      readonly kind: "peak";
      readonly fused: boolean;
      readonly threads: number;
      readonly count: number;
    }
  | { readonly kind: "triad"; readonly threads: number; readonly count: number }
  | {
      readonly kind: "gemm";
      readonly form: "nn" | "nt" | "tn";
      readonly m: number;
      readonly n: number;
      readonly k: number;
    }
  | {
      readonly kind: "conv";
      readonly pass: "forward" | "data" | "weights";
      readonly shape: ConvShape;
    }
  /** A step of an optimizer over one tensor. */
  | { readonly kind: "step"; readonly optimizer: OptimizerName; readonly parameters: number }
  | TrainWork;

export type OptimizerName = "AdamWScheduleFree" | "SGDScheduleFree" | "RAdamScheduleFree";

/** What underflowing work is multiplied by: products with it are below 1.2e-38, the least normal float32. */
export const underflowScale = 1e-39;

export const outputSize = ({ h, k, stride, padding }: ConvShape): number =>
  Math.floor((h + 2 * padding - k) / stride) + 1;
