/** Module: parameters, buffers and sub-modules under names, found by looking at the properties. */
import { changeModes } from "../capture.ts";
import type { NdArray } from "../backend/backend.ts";
import { warnOnce } from "../debug.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { leaveScope } from "../scope.ts";
import { formatShape, sameShape } from "../shape.ts";
import { checkSyncReads, Tensor } from "../tensor.ts";
import { summary } from "./summary.ts";

/**
 * Makes a tensor a parameter: it requires gradients and belongs to no scope, so it lives until it
 * is disposed. Returns the same tensor.
 */
export function parameter(x: Tensor): Tensor {
  leaveScope(x);
  x.requiresGrad = true;
  return x;
}

/** Makes a tensor a buffer: it belongs to no scope. Returns the same tensor. */
export function buffer(x: Tensor): Tensor {
  leaveScope(x);
  return x;
}

/** Values by name, as `stateDict` gives and `loadStateDict` takes them. */
export type StateDict = Record<string, NdArray>;

/**
 * A part of a model. Tensors assigned to properties are parameters if they require gradients,
 * buffers otherwise; modules assigned to properties (or in arrays) are sub-modules; their names are
 * the paths to them, as in PyTorch: "fc1.weight", "layers.0.bias".
 */
export abstract class Module {
  /** True while training: dropout drops, for example. Set by `train()` and `eval()`. */
  get training(): boolean {
    return this.#training;
  }

  set training(mode: boolean) {
    if (mode !== this.#training) changeModes();
    this.#training = mode;
  }

  #training = true;

  /** What the module computes; sub-classes say what they take and give. See `Layer`. */
  abstract forward(...inputs: never[]): unknown;

  /** The direct sub-modules by name. */
  namedChildren(): [string, Module][] {
    const found: [string, Module][] = [];
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) found.push([name, value]);
      else if (Array.isArray(value)) {
        value.forEach((item, i) => {
          if (item instanceof Module) found.push([`${name}.${i}`, item]);
        });
      }
    }
    return found;
  }

  /** This module and all below it, depth first, by path ("" is this one). */
  namedModules(prefix = ""): [string, Module][] {
    return [
      [prefix, this],
      ...this.namedChildren().flatMap(([name, child]) => child.namedModules(join(prefix, name))),
    ];
  }

  /** Parameters by path. One that stands in several places is listed once. */
  namedParameters(): [string, Tensor][] {
    return unique(this.namedTensors().filter(([, x]) => isParameter(x)));
  }

  /** Parameters in a fixed order, without repeats: what an optimizer takes. */
  parameters(): Tensor[] {
    return this.namedParameters().map(([, x]) => x);
  }

  /** Tensors that are saved with the model but not trained, by path. */
  namedBuffers(): [string, Tensor][] {
    return unique(this.namedTensors().filter(([, x]) => !isParameter(x)));
  }

  /** As `namedBuffers`, without names. */
  buffers(): Tensor[] {
    return this.namedBuffers().map(([, x]) => x);
  }

  /** Training mode (default) for this module and all below it. */
  train(mode = true): this {
    for (const [, module] of this.namedModules()) module.training = mode;
    return this;
  }

  /** Evaluation mode. An optimizer has modes of its own: call its `eval()` too. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Freezes (false) or unfreezes (true) all parameters. Frozen ones are still parameters: they are
   * saved, counted and taken by optimizers, which leave them as they are.
   */
  requiresGrad(on = true): this {
    changeModes();
    for (const x of this.parameters()) {
      x.requiresGrad = on;
      x.frozen = !on;
    }
    return this;
  }

  /**
   * Copies of all parameters and buffers by path. With a Schedule-Free optimizer, weights to keep are
   * those at x: call its `eval()` first, or do it inside `withEval`; at y this warns once.
   */
  stateDict(): StateDict {
    const state: StateDict = {};
    warnAtY("stateDict", this.parameters());
    for (const [name, x] of this.namedTensors()) {
      checkSyncReads("stateDict", x, "await model.stateDictAsync()");
      state[name] = { data: x.dataSync(), shape: x.shape };
    }
    return state;
  }

  /**
   * `stateDict` on every device, "webgpu" too. The copies are of the values at the moment of the call: training may
   * go on before they have arrived.
   */
  async stateDictAsync(): Promise<StateDict> {
    warnAtY("stateDictAsync", this.parameters());
    const copies = this.namedTensors().map(async ([name, x]) => {
      return [name, { data: await x.data(), shape: x.shape }] as const;
    });
    return Object.fromEntries(await Promise.all(copies));
  }

  /**
   * Copies values into parameters and buffers. Every name must be there with its shape, and none
   * besides; otherwise nothing is changed. Optimizers' states are not touched.
   *
   * @throws ValueError for missing or unknown names, ShapeError for a shape that differs
   */
  loadStateDict(state: StateDict): void {
    const own = new Map(this.namedTensors());
    const missing = [...own.keys()].filter((name) => !(name in state));
    const unknown = Object.keys(state).filter((name) => !own.has(name));
    if (missing.length > 0 || unknown.length > 0) {
      throw new ValueError(
        `loadStateDict: ${list("missing", missing)}${missing.length > 0 && unknown.length > 0 ? "; " : ""}` +
          `${list("unknown", unknown)}; expected exactly the names that stateDict() gives`,
      );
    }
    for (const [name, x] of own) {
      if (!sameShape(state[name].shape, x.shape)) {
        throw new ShapeError(
          `loadStateDict: ${name} has the shape ${formatShape(state[name].shape)}; expected ${formatShape(x.shape)}`,
        );
      }
    }
    for (const [name, x] of own) x.copyFrom(state[name].data);
  }

  /**
   * A table of this module and all below it: names, numbers of parameters (those in several places counted
   * at the first), what is frozen, bytes. With inputs, which `forward` takes, also the outputs' shapes; an
   * array of numbers stands for zeros of that shape: `model.summary([64, 1, 28, 28])`. They are found
   * by one forward pass in evaluation mode, without gradients, that changes neither modes nor
   * statistics nor generators.
   *
   * @returns the table, for you to print
   */
  summary(...inputs: unknown[]): string {
    return summary(this, inputs);
  }

  /** The name of a property's tensor in state dicts, where it is another than the property's. */
  protected tensorName(property: string): string {
    return property;
  }

  /** Releases the memory of all parameters and buffers. */
  dispose(): void {
    for (const [, x] of this.namedTensors()) x.dispose();
  }

  /** Parameters and buffers by path; one that stands in several places is listed under each path. */
  namedTensors(): [string, Tensor][] {
    return this.namedModules().flatMap(([path, module]) =>
      module.ownTensors().map(([name, x]): [string, Tensor] => [join(path, name), x]),
    );
  }

  /** This module's own parameters and buffers, without those below it. */
  ownTensors(): [string, Tensor][] {
    return Object.entries(this)
      .filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor)
      .map(([name, x]) => [this.tensorName(name), x]);
  }
}

/** A module from one tensor to one tensor, as `Sequential` chains them. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/** inProjWeight → in_proj_weight: PyTorch's names, so that files travel. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Trained, or frozen by `requiresGrad(false)`; what a module holds besides are buffers. */
function isParameter(x: Tensor): boolean {
  return x.requiresGrad || x.frozen;
}

/** Evaluating or exporting y where x is meant is the easiest mistake with Schedule-Free. */
export function warnAtY(what: string, parameters: readonly Tensor[]): void {
  if (!parameters.some((x) => x.sequence === "y")) return;
  warnOnce(
    `${what}: the parameters hold y, where a Schedule-Free optimizer takes gradients; the weights to evaluate and to keep ` +
      "are x: call optimizer.eval() first (and optimizer.train() before training on), or use optimizer.withEval(fn)",
  );
}

function join(prefix: string, name: string): string {
  return prefix === "" ? name : `${prefix}.${name}`;
}

function unique(entries: [string, Tensor][]): [string, Tensor][] {
  const seen = new Set<Tensor>();
  return entries.filter(([, x]) => !seen.has(x) && seen.add(x));
}

function list(what: string, names: string[]): string {
  return names.length === 0 ? "" : `${what} ${names.join(", ")}`;
}
