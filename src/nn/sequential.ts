/** Modules one after another. */
import { ValueError } from "../errors.ts";
import type { EpilogueOptions } from "../ops/epilogue.ts";
import type { Tensor } from "../tensor.ts";
import { Conv2d } from "./conv.ts";
import { Linear } from "./layers.ts";
import type { Layer } from "./module.ts";
import { Module } from "./module.ts";
import { MaxPool2d } from "./pool.ts";
import { LeakyReLU, ReLU, Sigmoid, Tanh } from "./stateless.ts";

/**
 * Modules one after another; they are named by their positions: "0.weight". A Linear or Conv2d
 * followed by ReLU, LeakyReLU, Sigmoid or Tanh runs as one operation, and so does ReLU followed by MaxPool2d.
 */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    for (const [i, layer] of layers.entries()) {
      if (!(layer instanceof Module)) {
        const found = typeof layer === "function" ? "a function" : String(layer);
        throw new ValueError(`Sequential: argument ${i} is ${found}; expected a Module`);
      }
    }
    this.layers = layers;
  }

  override namedChildren(): [string, Module][] {
    return this.layers.map((layer, i): [string, Module] => [String(i), layer]);
  }

  forward(x: Tensor): Tensor {
    const { layers } = this;
    let y = x;
    for (let i = 0; i < layers.length; i++) {
      const layer = layers[i];
      const next = layers[i + 1] as Layer | undefined;
      if (next === undefined) return layer.forward(y);
      if (poolable(layer, next)) {
        y = (next as MaxPool2d).forward(y, { activation: "relu" });
        i++; // done already
        continue;
      }
      const after = layers[i + 2] as Layer | undefined;
      const pooled = after !== undefined && poolable(next, after);
      const epilogue = pooled ? null : fusable(layer, next);
      if (epilogue === null) y = layer.forward(y);
      else {
        y = (layer as Linear | Conv2d).forward(y, epilogue);
        i++;
      }
    }
    return y;
  }
}

/** Is this ReLU and then a MaxPool2d that can do it? A window of padding alone has -Infinity, which relu changes. */
function poolable(layer: Layer, next: Layer): boolean {
  if (layer.forward !== ReLU.prototype.forward || next.forward !== MaxPool2d.prototype.forward) {
    return false;
  }
  const { padding = 0 } = (next as MaxPool2d).options;
  return padding === 0;
}

/**
 * What a linear layer or convolution takes over from the activation after it, with the same bits; null if
 * either is another module, or has a forward of its own (a sub-class's, an observer's).
 */
function fusable(layer: Layer, next: Layer): EpilogueOptions | null {
  const { forward } = layer;
  if (forward !== Linear.prototype.forward && forward !== Conv2d.prototype.forward) return null;
  switch (next.forward) {
    case ReLU.prototype.forward:
      return { activation: "relu" };
    case Sigmoid.prototype.forward:
      return { activation: "sigmoid" };
    case Tanh.prototype.forward:
      return { activation: "tanh" };
    case LeakyReLU.prototype.forward: {
      const { negativeSlope } = next as LeakyReLU;
      return negativeSlope > 0 ? { activation: "leakyRelu", negativeSlope } : null;
    }
    default:
      return null;
  }
}
