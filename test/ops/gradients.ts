/**
 * Which gradients have been checked? `GradientWatch` looks on while the rows of the table are
 * checked and names every record whose vector-Jacobian product was not, or not for every input.
 */
import type { Op, ViewOp } from "../../src/op.ts";
import type { Vjp, VjpContext } from "../../src/tape.ts";
import type { Tensor } from "../../src/index.ts";

export type Records = ReadonlyMap<string, Op<never> | ViewOp<never>>;

/** What was seen of one record. */
interface Seen {
  /** Inputs for which the vjp ever returned a gradient, needed or not. */
  returned: Set<number>;
  /** Inputs whose gradient was compared with difference quotients, in a case of the record's own row. */
  checked: Set<number>;
  /** Inputs that required a gradient and got null. */
  silent: Set<number>;
  strided: boolean;
  empty: boolean;
  broadcast: boolean;
}

interface Call {
  record: string;
  needed: number[];
}

export class GradientWatch {
  private readonly records: Records;
  private readonly seen = new Map<string, Seen>();
  private readonly originals = new Map<string, Vjp<never>>();
  private calls: Call[] = [];

  /** Replaces the vjp of every record by one that is watched, until `release()`. */
  constructor(records: Records) {
    this.records = records;
    for (const [name, record] of records) {
      if (record.vjp === undefined) continue;
      this.originals.set(name, record.vjp);
      setVjp(record, this.watched(name, record.vjp));
    }
  }

  release(): void {
    for (const [name, vjp] of this.originals) setVjp(this.records.get(name)!, vjp);
  }

  /** Runs a gradient check of a row about the record `op`; what it ran counts if it does not throw. */
  check(op: string, gradcheck: () => void): void {
    this.calls = [];
    gradcheck();
    for (const { record, needed } of this.calls) {
      if (record === op) for (const i of needed) this.of(record).checked.add(i);
    }
    this.calls = [];
  }

  /**
   * One line for each thing that nobody has checked.
   * @param exempt records that have no vjp, and why
   * @param excused lines that would be reported, and why they are right
   */
  gaps(
    exempt: Readonly<Record<string, string>>,
    excused: Readonly<Record<string, string>> = {},
  ): string[] {
    const found: string[] = [];
    for (const [name, record] of this.records) {
      if (record.vjp !== undefined) {
        found.push(...this.gapsOf(name, "kind" in record && record.kind === "zip"));
        if (name in exempt) found.push(`${name}: has a vjp, and a reason for having none`);
      } else if (!exempt[name]) {
        found.push(`${name}: has no vjp, and no reason is given`);
      }
    }
    for (const name of Object.keys(exempt)) {
      if (!this.records.has(name)) found.push(`${name}: a reason for having no vjp, but no record`);
    }
    for (const line of Object.keys(excused)) {
      if (!found.includes(line)) found.push(`excused, but not so any more: ${line}`);
    }
    return found.filter((line) => !excused[line]);
  }

  private gapsOf(name: string, broadcasts: boolean): string[] {
    const seen = this.of(name);
    if (seen.checked.size === 0)
      return [`${name}: no row of its own runs its vjp in a gradient check`];
    const found: string[] = [];
    for (const i of seen.returned) {
      if (!seen.checked.has(i)) found.push(`${name}: the gradient of input ${i} is not checked`);
    }
    for (const i of seen.silent) {
      found.push(`${name}: its vjp returns null for input ${i}, which required a gradient`);
    }
    if (!seen.strided) found.push(`${name}: not checked with strided inputs`);
    if (!seen.empty) found.push(`${name}: not run with an empty input`);
    if (broadcasts && !seen.broadcast) found.push(`${name}: not checked with broadcast inputs`);
    return found;
  }

  private of(record: string): Seen {
    let seen = this.seen.get(record);
    if (seen === undefined) {
      const none = (): Set<number> => new Set();
      const flags = { strided: false, empty: false, broadcast: false };
      seen = { returned: none(), checked: none(), silent: none(), ...flags };
      this.seen.set(record, seen);
    }
    return seen;
  }

  private watched(name: string, vjp: Vjp<never>): Vjp<never> {
    return (dy, context, attrs) => {
      const grads = vjp(dy, context, attrs);
      this.note(name, dy, context, grads);
      return grads;
    };
  }

  private note(
    name: string,
    dy: Tensor,
    context: VjpContext,
    grads: readonly (Tensor | null)[],
  ): void {
    const seen = this.of(name);
    const needed: number[] = [];
    context.inputs.forEach((x, i) => {
      if (grads[i]) seen.returned.add(i);
      if (context.needs(i)) {
        if (grads[i]) needed.push(i);
        else seen.silent.add(i);
      }
      seen.strided ||= !x.isContiguous;
      seen.empty ||= x.size === 0;
      seen.broadcast ||= x.size !== dy.size;
    });
    this.calls.push({ record: name, needed });
  }
}

function setVjp(record: Op<never> | ViewOp<never>, vjp: Vjp<never>): void {
  (record as { vjp: Vjp<never> }).vjp = vjp;
}
