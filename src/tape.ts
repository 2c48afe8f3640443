/**
 * The tape: one node per recorded operation, as data. No closures: a node holds its operation's
 * record, its inputs, and the values that the record says its gradient needs.
 */
import { LifetimeError } from "./errors.ts";
import { enterScope, runScoped } from "./scope.ts";
import type { Shape } from "./shape.ts";
import type { GraphNode, Storage, Tensor } from "./tensor.ts";

/** What a vector-Jacobian product may look at. */
export interface VjpContext {
  /** The tensors named by the record's `saves`, in that order. */
  readonly saved: readonly Tensor[];
  /** The operation's inputs: shapes and dtypes may be read; values only through `saved`. */
  readonly inputs: readonly Tensor[];
  /** Does input i need a gradient? Skip the work if not. */
  needs(i: number): boolean;
}

/**
 * From the gradient of the (first) output to the gradients of the inputs, in order; null where
 * an input has none. Written with ordinary operations, which are not recorded here.
 */
export type Vjp<A> = (dy: Tensor, context: VjpContext, attrs: A) => readonly (Tensor | null)[];

/** The part of an operation's record that the tape needs. */
export interface Recordable {
  readonly name: string;
  readonly vjp?: Vjp<never>;
}

const nothing: readonly never[] = [];

let recording = true;
/** While `tracing` runs: notes who would be on the tape, in place of putting it there. */
let noted: Set<Tensor> | null = null;
let created = 0;

export class Node implements GraphNode, VjpContext {
  readonly op: Recordable;
  readonly attrs: unknown;
  readonly shape: Shape;
  /** Creation order: the reverse of it is an order in which gradients can be computed. */
  readonly id: number = ++created;
  inputs: readonly Tensor[];
  saved: readonly Tensor[];
  /** The gradient of the output while a backward pass is under way. */
  grad: Tensor | null = null;
  /** True once a backward pass has freed it. */
  consumed = false;
  /** Set while a backward pass collects nodes. */
  visited = false;
  /** The output's handle, where `retainGrad()` asked for its gradient. */
  retainFor: Tensor | null = null;
  private readonly storages: readonly Storage[];
  private readonly versions: readonly number[];
  private readonly hidden: readonly Tensor[];
  private holders = 1;

  /**
   * @param saved values that the gradient needs; their memory stays until the node goes
   * @param hidden outputs that nobody but this node can see; disposed with it
   */
  constructor(
    op: Recordable,
    attrs: unknown,
    inputs: readonly Tensor[],
    output: Tensor,
    saved: readonly Tensor[],
    hidden: readonly Tensor[],
  ) {
    this.op = op;
    this.attrs = attrs;
    this.shape = output.shape;
    this.inputs = inputs;
    this.saved = saved;
    this.hidden = hidden;
    // Of the right length at once: a list that grows by push takes room for 17.
    const storages = Array<Storage>(saved.length);
    const versions = Array<number>(saved.length);
    for (let i = 0; i < saved.length; i++) {
      const storage = saved[i].storage;
      storages[i] = storage.retain();
      versions[i] = storage.version;
    }
    this.storages = storages;
    this.versions = versions;
    for (let i = 0; i < inputs.length; i++) inputs[i].node?.hold();
  }

  needs(i: number): boolean {
    return this.inputs[i].requiresGrad;
  }

  hold(): void {
    this.holders++;
  }

  /** One holder less; frees the node, and what only it held, when it was the last. */
  drop(): void {
    if (--this.holders > 0 || this.consumed) return;
    const pending: Node[] = [this];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const inputs = node.free();
      for (let i = 0; i < inputs.length; i++) {
        const parent = inputs[i].node as Node | null;
        if (parent !== null && --parent.holders === 0 && !parent.consumed) pending.push(parent);
      }
    }
  }

  /** Backward is done with this node: releases what it saved and lets go of its inputs. */
  consume(): void {
    const inputs = this.free();
    for (let i = 0; i < inputs.length; i++) (inputs[i].node as Node | null)?.drop();
  }

  /** Throws when a saved value was overwritten or moved since the forward pass. */
  checkSaved(): void {
    for (let i = 0; i < this.saved.length; i++) {
      const storage = this.storages[i];
      const tensor = this.saved[i];
      if (storage.version === this.versions[i] && tensor.storage === storage) continue;
      throw new LifetimeError(
        `backward: ${tensor.describe()}, which ${this.op.name} saved for its gradient, was ` +
          (tensor.storage === storage
            ? `changed in place (version ${this.versions[i]}, now ${storage.version})`
            : "moved into an optimizer's block") +
          " after the forward pass; run the forward pass again after optimizer.step(), train(), eval() or copyFrom()",
      );
    }
  }

  /** The saved values as live tensors: those whose scope has ended get new handles. */
  reviveSaved(): void {
    let ended = false;
    for (let i = 0; i < this.saved.length; i++) ended ||= this.saved[i].disposed;
    if (!ended) return;
    this.saved = this.saved.map((tensor) => {
      if (!tensor.disposed) return tensor;
      const revived = tensor.alias();
      enterScope(revived);
      return revived;
    });
  }

  /** Releases everything held; returns the inputs, whose nodes it held. */
  private free(): readonly Tensor[] {
    if (this.consumed) return nothing;
    this.consumed = true;
    for (let i = 0; i < this.storages.length; i++) this.storages[i].release();
    for (let i = 0; i < this.hidden.length; i++) this.hidden[i].dispose();
    const { inputs } = this;
    this.inputs = nothing;
    this.saved = nothing;
    return inputs;
  }
}

/**
 * Puts an operation on the tape, as what `output` was made by.
 *
 * @param saved values that the gradient needs; their memory stays until the node goes
 * @param hidden outputs that nobody but the node can see; disposed with it
 */
export function putOnTape(
  op: Recordable,
  attrs: unknown,
  inputs: readonly Tensor[],
  output: Tensor,
  saved: readonly Tensor[],
  hidden: readonly Tensor[],
): void {
  output.requiresGrad = true;
  if (noted === null) {
    output.node = new Node(op, attrs, inputs, output, saved, hidden);
    return;
  }
  for (const input of inputs) noted.add(input);
  for (const extra of hidden) extra.dispose();
}

/**
 * Runs `fn` so that results require gradients as if it were recorded, but without a tape: nothing is
 * saved. Also returns the inputs of all operations that would have been recorded.
 */
export function tracing<T>(fn: () => T): { result: T; inputs: ReadonlySet<Tensor> } {
  const before = noted;
  const inputs = new Set<Tensor>();
  noted = inputs;
  try {
    return { result: fn(), inputs };
  } finally {
    noted = before;
  }
}

/** Inside `tracing`? */
export function isTracing(): boolean {
  return noted !== null;
}

/** Are operations recorded now? */
export function isRecording(): boolean {
  return recording;
}

/** Runs `fn` with recording on or off, in no new scope. */
export function withRecording<T>(on: boolean, fn: () => T): T {
  const before = recording;
  recording = on;
  try {
    return fn();
  } finally {
    recording = before;
  }
}

/** Runs `fn` in a scope without recording: for evaluation. What it returns lives on. */
export function noGrad<T>(fn: () => T): T {
  return withRecording(false, () => runScoped("noGrad", fn));
}

/** Runs `fn` with recording on, inside `noGrad` too: for closures. */
export function enableGrad<T>(fn: () => T): T {
  return withRecording(true, fn);
}
