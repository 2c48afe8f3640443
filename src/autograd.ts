/** Backward: walks the tape from a result to the leaves, newest node first. */
import type { Kernel, NdArray } from "./backend/backend.ts";
import { currentCapture } from "./capture.ts";
import { debug, log } from "./debug.ts";
import { LifetimeError, ShapeError } from "./errors.ts";
import { runInPlace } from "./op.ts";
import type { Scope } from "./scope.ts";
import { enterScope, leaveScope, openScope } from "./scope.ts";
import { formatShape, sameShape } from "./shape.ts";
import type { Node, Vjp, VjpContext } from "./tape.ts";
import { isTracing, withRecording } from "./tape.ts";
import type { Storage } from "./tensor.ts";
import { empty, Tensor } from "./tensor.ts";

export interface BackwardOptions {
  /** Keep the graph, so that backward can run through it again. Default false. */
  retainGraph?: boolean;
}

/** y = value everywhere. */
export const fill: Kernel = {
  name: "fill",
  kind: "fill",
  reference: (_inputs: readonly NdArray[], [y]: readonly NdArray[], attrs: { value: number }) => {
    y.data.fill(attrs.value);
  },
  wasm: "fill",
};

/** y = x, any strides on both sides. */
export const copy: Kernel = {
  name: "copy",
  kind: "copy",
  reference: ([x]: readonly NdArray[], [y]: readonly NdArray[]) => y.data.set(x.data),
  wasm: "copy",
};

/** a += b in place. */
export const accumulate: Kernel = {
  name: "accumulate",
  kind: "accumulate",
  reference: ([b]: readonly NdArray[], [a]: readonly NdArray[]) => {
    for (let i = 0; i < a.data.length; i++) a.data[i] += b.data[i];
  },
  wasm: "accumulate",
};

/**
 * Computes the gradient of `root` with respect to every leaf that requires one and adds it to the
 * leaf's `grad`. Frees the graph as it goes, unless `retainGraph`.
 *
 * @param gradient weight of each element of `root`, of its shape; may be left out for one element
 * @throws LifetimeError when nothing was recorded, the graph was freed by an earlier backward, or a
 *   saved value was changed in place; ShapeError when `root` has several elements and no gradient
 *   is given. No gradient has changed then.
 */
export function backward(
  root: Tensor,
  gradient: Tensor | null = null,
  options: BackwardOptions = {},
): void {
  root.checkAlive("backward");
  if (!root.requiresGrad) {
    throw new LifetimeError(
      `backward: ${root.describe()} has no graph: nothing it was computed from requires a gradient, ` +
        "or it was computed inside noGrad()",
    );
  }
  if (gradient === null && root.size !== 1) {
    throw new ShapeError(
      `backward: ${root.describe()} has ${root.size} elements; expected a scalar ` +
        "(reduce it with sum() or mean()), or pass the gradient of its shape",
    );
  }
  if (gradient !== null && !sameShape(gradient.shape, root.shape)) {
    throw new ShapeError(
      `backward: gradient has the shape ${formatShape(gradient.shape)}; expected ${formatShape(root.shape)}, the tensor's own`,
    );
  }
  backwardFrom([root], [gradient], options);
}

/**
 * `backward` from several results at once; both lists are of one length. What leads to several of them
 * is walked once. Without a gradient a root counts as the sum of its elements.
 */
export function backwardFrom(
  roots: readonly Tensor[],
  gradients: readonly (Tensor | null)[],
  options: BackwardOptions = {},
): void {
  if (isTracing()) {
    throw new LifetimeError(
      "backward: inside checkpoint(fn) there is no graph yet; call backward() on what checkpoint returns",
    );
  }
  const nodes = collect(roots);
  const scope = openScope("backward");
  try {
    withRecording(false, () => {
      for (let i = 0; i < roots.length; i++) {
        const seed = gradients[i] ?? filled(roots[i], 1);
        const node = roots[i].node as Node | null;
        if (node === null) addToLeaf(roots[i], seed, scope);
        else node.grad = node.grad === null ? taken(seed, scope) : summed(node.grad, seed);
      }
      const temporaries = openScope("vjp");
      for (const node of nodes) step(node, temporaries, options.retainGraph ?? false);
      temporaries.end();
    });
    scope.end();
  } catch (error) {
    scope.unwind();
    throw error;
  } finally {
    for (const node of nodes) {
      node.grad?.dispose();
      node.grad = null;
      node.drop();
    }
  }
}

/** All nodes that lead to the roots, newest first; checked to be usable before anything is changed. */
function collect(roots: readonly Tensor[]): Node[] {
  const nodes: Node[] = [];
  const pending: Node[] = [];
  for (const root of roots) {
    const node = root.node as Node | null;
    if (node === null || node.visited) continue;
    node.visited = true;
    pending.push(node);
  }
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    nodes.push(node);
    for (let i = 0; i < node.inputs.length; i++) {
      const parent = node.inputs[i].node as Node | null;
      if (parent === null || parent.visited) continue;
      parent.visited = true;
      pending.push(parent);
    }
  }
  for (const node of nodes) node.visited = false;
  for (const node of nodes) {
    if (node.consumed) {
      throw new LifetimeError(
        `backward: the graph behind ${node.op.name} ${formatShape(node.shape)} was freed by an earlier backward(); ` +
          "run the forward pass again, or pass { retainGraph: true } the first time",
      );
    }
    node.checkSaved();
  }
  // Consuming a node lets go of its parents; they must outlast that until it is their turn.
  for (const node of nodes) node.hold();
  if (debug.level >= 3) log(3, `backward through ${nodes.length} nodes`);
  // Chains come in order; sorting them all the same costs as much as recording an operation.
  let sorted = true;
  for (let i = 1; i < nodes.length; i++) sorted &&= nodes[i - 1].id > nodes[i].id;
  return sorted ? nodes : nodes.sort((a, b) => b.id - a.id);
}

/** One node: from its output's gradient to those of its inputs. */
function step(node: Node, scope: Scope, retainGraph: boolean): void {
  const dy = node.grad;
  node.grad = null;
  if (dy !== null) {
    try {
      propagate(node, dy, scope);
    } finally {
      dy.dispose(); // also when there is no memory for the gradients
    }
  }
  if (!retainGraph) node.consume();
}

/** `scope` is the innermost one, and is left empty. */
function propagate(node: Node, dy: Tensor, scope: Scope): void {
  const output = node.retainFor;
  if (output !== null && !output.disposed) addToLeaf(output, dy, scope);
  node.reviveSaved();
  const vjp = node.op.vjp as Vjp<unknown>;
  const grads = vjp(dy, node, node.attrs);
  for (let i = 0; i < node.inputs.length; i++) {
    const grad = grads[i];
    const input = node.inputs[i];
    if (!grad || !input.requiresGrad) continue;
    const parent = input.node as Node | null;
    if (parent === null) {
      if (!input.disposed) addToLeaf(input, grad, scope);
      continue;
    }
    parent.grad = parent.grad === null ? taken(grad, scope) : summed(parent.grad, grad);
  }
  scope.clear();
}

/** The tensor itself, out of the scope, if it is a temporary of it; else a new handle on it. */
function taken(grad: Tensor, scope: Scope): Tensor {
  if (grad.scope !== scope) return grad.alias();
  leaveScope(grad);
  return grad;
}

/** a + b, in a's memory when nobody else can see it. Takes a over. */
function summed(a: Tensor, b: Tensor): Tensor {
  if (a.storage.exclusive && a.isContiguous) {
    runInPlace(accumulate, [b], [a], {});
    return a;
  }
  const sum = densified(a);
  runInPlace(accumulate, [b], [sum], {});
  a.dispose();
  return sum;
}

/** A dense copy in no scope. */
function densified(x: Tensor): Tensor {
  const result = empty(x.backend, x.shape, x.dtype, "grad");
  runInPlace(copy, [x], [result], {});
  leaveScope(result);
  return result;
}

function addToLeaf(leaf: Tensor, grad: Tensor, scope: Scope): void {
  currentCapture()?.noteGradient(leaf);
  if (leaf.grad !== null) {
    runInPlace(accumulate, [grad], [leaf.grad], {});
    return;
  }
  if (leaf.gradSlot !== null) {
    if (grad.storage === leaf.gradSlot) {
      leaf.grad = taken(grad, scope);
      return;
    }
    const slot = slotOf(leaf, leaf.gradSlot);
    runInPlace(copy, [grad], [slot], {});
    leaf.grad = slot;
    return;
  }
  const takeable = grad.scope === scope && grad.storage.exclusive && grad.isContiguous;
  leaf.grad = takeable ? taken(grad, scope) : densified(grad);
}

/** A new handle on a leaf's place in its optimizer's block of gradients, in no scope. */
function slotOf(leaf: Tensor, gradSlot: Storage): Tensor {
  return new Tensor(gradSlot.retain(), leaf.shape, undefined, undefined, "grad");
}

/**
 * For a vjp: a dense tensor with undefined content for the gradient of input i, in the innermost scope.
 * Where the optimizer has room for this gradient it is that room, and nothing has to be copied.
 */
export function gradientOf({ inputs }: VjpContext, i: number): Tensor {
  const input = inputs[i];
  const { gradSlot } = input;
  const waits = gradSlot !== null && input.grad === null && !input.disposed;
  if (!waits || inputs.indexOf(input) !== inputs.lastIndexOf(input)) {
    return empty(input.backend, input.shape, input.dtype, "grad");
  }
  const slot = slotOf(input, gradSlot);
  enterScope(slot);
  return slot;
}

/**
 * For a vjp: takes the gradient that other uses of input i have given it so far, into the innermost scope, or null.
 * Who takes it adds it to the gradient returned for that input, in the same pass over memory; it may be a view, and
 * others may see it, so it is only read.
 */
export function pendingOf({ inputs }: VjpContext, i: number): Tensor | null {
  const node = inputs[i].node as Node | null;
  if (node === null || node.grad === null) return null;
  const pending = node.grad;
  node.grad = null;
  enterScope(pending);
  return pending;
}

/** A tensor of the same shape and dtype, full of one value, in the innermost scope. */
export function filled(like: Tensor, value: number): Tensor {
  const result = empty(like.backend, like.shape, like.dtype, "grad");
  runInPlace(fill, [], [result], { value });
  return result;
}
