/**
 * Copies of a list of parameters in flat blocks of their own, read and written in long runs: where
 * an optimizer keeps parameters next to each other (FlatGroup), a whole group is one run.
 *
 *     parameters   | p0 | p1    | p2 |   | p3 |      two blocks of two optimizers' groups, say
 *     copy         | c0 | c1    | c2 | c3 |          one block per device and dtype
 */
import { copy } from "../../autograd.ts";
import { ShapeError, ValueError } from "../../errors.ts";
import { runInPlace } from "../../op.ts";
import { enterScope, runScoped } from "../../scope.ts";
import { formatShape, sameShape, stridesOf } from "../../shape.ts";
import { withRecording } from "../../tape.ts";
import { empty, isFloat, Storage, Tensor } from "../../tensor.ts";
import type { StateValue } from "../state-dict.ts";
import { assign } from "../state-dict.ts";

/** Flat memory for all parameters: one tensor per stretch of equal device and dtype. */
export type Block = readonly Tensor[];

/** Neighbouring parameters of equal device and dtype. */
interface Stretch {
  readonly params: readonly Tensor[];
  /** Where each parameter starts; the last entry is the size. */
  readonly starts: readonly number[];
}

export class FlatCopies {
  readonly params: readonly Tensor[];
  private readonly stretches: readonly Stretch[];

  /** @throws ValueError for an empty list, or parameters that are not dense floats */
  constructor(where: string, params: readonly Tensor[]) {
    if (params.length === 0) {
      throw new ValueError(`${where}: the list of parameters is empty; expected tensors`);
    }
    params.forEach((param, i) => {
      param.checkAlive(where);
      if (params.indexOf(param) < i) {
        throw new ValueError(`${where}: parameter ${i} (${param.describe()}) is given twice`);
      }
      if (isFloat(param.dtype) && param.isContiguous) return;
      throw new ValueError(
        `${where}: parameter ${i} is ${param.describe()}; expected a dense float tensor`,
      );
    });
    this.params = [...params];
    this.stretches = stretchesOf(params);
  }

  /** New memory; its content is undefined. Free it with `disposeBlock`. */
  allocate(label: string): Block {
    const block: Tensor[] = [];
    try {
      for (const { params, starts } of this.stretches) {
        const size = starts[params.length];
        const storage = Storage.allocate(params[0].backend, size, params[0].dtype);
        block.push(new Tensor(storage, [size], [1], 0, label));
      }
    } catch (error) {
      disposeBlock(block);
      throw error;
    }
    return block;
  }

  /** Visits the parameters in the longest runs, each with its part of the block; flat, in a scope. */
  eachRun(block: Block, visit: (params: Tensor, part: Tensor) => void): void {
    withRecording(false, () =>
      runScoped("average", () =>
        this.stretches.forEach(({ params, starts }, s) => {
          for (let i = 0; i < params.length;) {
            let end = i + 1;
            while (end < params.length && adjoins(params[end - 1], params[end])) end++;
            const size = starts[end] - starts[i];
            if (size > 0) {
              visit(view(params[i], [size], params[i].offset), view(block[s], [size], starts[i]));
            }
            i = end;
          }
        }),
      ),
    );
  }

  /** block ← parameters */
  read(block: Block): void {
    this.eachRun(block, (params, part) => runInPlace(copy, [params], [part], {}));
  }

  /** Parameters ← block. Says nothing to graphs: see `touch`. */
  write(block: Block): void {
    const before = this.params.map(({ storage }) => storage.version);
    this.eachRun(block, (params, part) => runInPlace(copy, [part], [params], {}));
    this.params.forEach(({ storage }, i) => {
      storage.version = before[i];
    });
  }

  /** Tells graphs that the parameters have changed. */
  touch(): void {
    for (const { storage } of this.params) storage.version++;
  }

  /** Each parameter's part of a block, copied, in its shape and in the innermost scope. */
  unpack(block: Block, label: string): Tensor[] {
    return this.eachPart(block).map((part) => {
      const result = empty(part.backend, part.shape, part.dtype, label);
      if (part.size > 0) runInPlace(copy, [part], [result], {});
      part.dispose();
      return result;
    });
  }

  /** Overwrites a block with values in the order of the parameters, which `check` has accepted. */
  pack(block: Block, values: readonly StateValue[]): void {
    this.eachPart(block).forEach((part, i) => {
      assign(part, values[i]);
      part.dispose();
    });
  }

  /** Saved values as a list in the order of the parameters. @throws naming what differs */
  check(where: string, saved: unknown): StateValue[] {
    const values = typeof saved === "object" && saved !== null ? Object.values(saved) : [];
    if (values.length !== this.params.length) {
      throw new ValueError(
        `${where}: the saved average has ${values.length} tensors; ` +
          `expected ${this.params.length}, as many as there are parameters`,
      );
    }
    this.params.forEach((param, i) => {
      const value = values[i] as StateValue;
      const fits = "dataSync" in value ? sameShape(value.shape, param.shape) : true;
      if (fits && ("dataSync" in value ? value.size : value.length) === param.size) return;
      const found = "dataSync" in value ? formatShape(value.shape) : `${value.length} elements`;
      throw new ShapeError(
        `${where}: tensor ${i} is ${found}; expected ${formatShape(param.shape)}, as its parameter`,
      );
    });
    return values as StateValue[];
  }

  private eachPart(block: Block): Tensor[] {
    return this.stretches.flatMap(({ params, starts }, s) =>
      params.map(({ shape }, i) => view(block[s], shape, starts[i])),
    );
  }
}

export function disposeBlock(block: Block): void {
  for (const tensor of block) tensor.dispose();
}

function stretchesOf(params: readonly Tensor[]): Stretch[] {
  const stretches: { params: Tensor[]; starts: number[] }[] = [];
  for (const param of params) {
    let last = stretches.at(-1);
    const [first] = last?.params ?? [];
    if (last === undefined || first.backend !== param.backend || first.dtype !== param.dtype) {
      last = { params: [], starts: [0] };
      stretches.push(last);
    }
    last.params.push(param);
    last.starts.push(last.starts.at(-1)! + param.size);
  }
  return stretches;
}

/** Does b's memory begin where a's ends? */
const adjoins = (a: Tensor, b: Tensor): boolean =>
  a.buffer === b.buffer && a.offset + a.size === b.offset;

function view(of: Tensor, shape: readonly number[], offset: number): Tensor {
  const part = new Tensor(of.storage.retain(), shape, stridesOf(shape), offset, of.label);
  enterScope(part);
  return part;
}
