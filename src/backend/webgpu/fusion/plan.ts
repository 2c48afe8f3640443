/**
 * Which calls of a program become one dispatch. A call may join a chain that comes before it, if nothing
 * between touches what it touches; then whole chains may join later ones in the same way. Everything else keeps its order.
 */
import type { Buffer, View } from "../../backend.ts";
import { rangeOf } from "../../layout.ts";
import { MANY } from "../launch/elementwise.ts";
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";

/** One call of a program, or an upload. */
export interface Step {
  readonly reads: readonly View[];
  readonly writes: readonly View[];
  /** Null where it is no element of a chain. */
  readonly element: Element | null;
}

/** What runs at one place of a program: a step as it was noted, or a chain of steps. */
export interface Unit {
  steps: number[];
  chain: Chain | null;
}

/** Steps in a chain: a compiler has to find registers for them. */
const MOST_STEPS = 64;
/** Chains that a step tries to join. */
const MOST_TRIES = 4;

/** Something that happens to elements `low` to `high` of a buffer. */
interface Event {
  readonly step: number;
  readonly what: "read" | "write" | "release";
  readonly low: number;
  readonly high: number;
}

/** @param releases buffers whose content nobody reads any more, before the step of that number (or after the last) */
export function plan(
  steps: readonly Step[],
  releases: readonly { readonly before: number; readonly buffer: Buffer }[],
  mostArrays: number,
): Unit[] {
  return new Plan(steps, releases, mostArrays).units.filter((unit) => unit.steps.length > 0);
}

class Plan {
  readonly units: Unit[] = [];
  private readonly steps: readonly Step[];
  private readonly mostArrays: number;
  private readonly events = new Map<Buffer, Event[]>();
  /** The number of each step's unit, as far as steps have one. */
  private readonly unitOf: number[] = [];

  constructor(
    steps: readonly Step[],
    releases: readonly { readonly before: number; readonly buffer: Buffer }[],
    mostArrays: number,
  ) {
    this.steps = steps;
    this.mostArrays = mostArrays;
    let next = 0;
    for (let k = 0; k <= steps.length; k++) {
      for (; next < releases.length && releases[next].before === k; next++) {
        const event = { step: k, what: "release", low: 0, high: Infinity } as const;
        this.happens(releases[next].buffer, event);
      }
      if (k === steps.length) break;
      for (const view of steps[k].reads) this.touches(k, "read", view);
      for (const view of steps[k].writes) this.touches(k, "write", view);
    }
    for (let k = 0; k < steps.length; k++) this.place(k);
    for (let u = this.units.length - 1; u >= 0; u--) this.moveOn(u);
  }

  /** Into the chain that it follows from, into another since, or at the end. What is filled waits for those who use it. */
  private place(k: number): void {
    const { units } = this;
    const { element } = this.steps[k];
    if (element !== null && element.operands.length > 0) {
      let latest = -1;
      this.eachConflict(k, (other) => {
        if (other < k) latest = Math.max(latest, this.unitOf[other]);
      });
      const candidates: number[] = [];
      if (latest >= 0) candidates.push(latest);
      for (let u = units.length - 1; u > latest && candidates.length < MOST_TRIES; u--) {
        if (this.suits(units[u], element)) candidates.push(u);
      }
      for (const u of candidates) if (this.join(units[u], [k], u)) return;
    }
    this.unitOf[k] = units.length;
    units.push({ steps: [k], chain: element === null ? null : this.chainOf([k]) });
  }

  /** Moves a chain into a later one, past all that does not touch what it touches. */
  private moveOn(from: number): void {
    const { units } = this;
    const unit = units[from];
    if (unit.chain === null) return;
    let first = units.length;
    for (const k of unit.steps) {
      this.eachConflict(k, (other) => {
        if (this.unitOf[other] > from) first = Math.min(first, this.unitOf[other]);
      });
    }
    const candidates: number[] = [];
    if (first < units.length) candidates.push(first);
    const { element } = this.steps[unit.steps[0]];
    for (let u = from + 1; u < first && candidates.length < MOST_TRIES; u++) {
      if (this.suits(units[u], element!)) candidates.push(u);
    }
    for (const u of candidates) {
      if (!this.join(units[u], unit.steps, u)) continue;
      units[from] = { steps: [], chain: null };
      return;
    }
  }

  /** May the element join without following from the chain? Few elements may: a dispatch costs more than they do. */
  private suits({ chain }: Unit, { y, operands, window }: Element): boolean {
    if (chain === null || window || operands.length === 0 || chain.size !== y.size) return false;
    return y.size < MANY || operands.some(({ view }) => chain.touches(view.buffer));
  }

  private join(unit: Unit, more: readonly number[], u: number): boolean {
    const { chain, steps } = unit;
    if (chain === null || steps.length + more.length > MOST_STEPS) return false;
    const { y, window } = this.steps[more[0]].element!;
    if (!window && chain.size !== y.size) return false;
    const together = [...steps, ...more].sort((a, b) => a - b);
    const joined = this.chainOf(together);
    if (joined === null) return false;
    unit.steps = together;
    unit.chain = joined;
    for (const k of more) this.unitOf[k] = u;
    return true;
  }

  private chainOf(steps: readonly number[]): Chain | null {
    const elements = steps.map((k) => this.steps[k].element!);
    const members = new Set(steps);
    const needed = steps.map((k) => this.isNeeded(k, members));
    return Chain.of(elements, needed, this.mostArrays);
  }

  /** Does anybody but `members` read what the step writes? */
  private isNeeded(k: number, members: ReadonlySet<number>): boolean {
    const [y] = this.steps[k].writes;
    const [low, high] = rangeOf(y);
    for (const event of this.events.get(y.buffer)!) {
      if (event.step <= k) continue;
      if (event.what === "release") return false;
      if (event.high <= low || event.low >= high || members.has(event.step)) continue;
      if (event.what === "read") return true;
      // A window leaves what lies between its rows, and other kinds may read what they write.
      const whole = this.steps[event.step].element?.window === false;
      if (whole && event.low <= low && event.high >= high) return false;
    }
    return true;
  }

  /** All steps that must stay on their side of step `k`: one of the two writes what the other touches. */
  private eachConflict(k: number, visit: (other: number) => void): void {
    const { reads, writes } = this.steps[k];
    const look = (view: View, writing: boolean): void => {
      const [low, high] = rangeOf(view);
      for (const { step, what, low: from, high: to } of this.events.get(view.buffer)!) {
        if (step === k || what === "release" || (what === "read" && !writing)) continue;
        if (from < high && to > low) visit(step);
      }
    };
    for (const view of reads) look(view, false);
    for (const view of writes) look(view, true);
  }

  private touches(step: number, what: "read" | "write", view: View): void {
    const [low, high] = rangeOf(view);
    this.happens(view.buffer, { step, what, low, high });
  }

  private happens(buffer: Buffer, event: Event): void {
    const events = this.events.get(buffer);
    if (events === undefined) this.events.set(buffer, [event]);
    else events.push(event);
  }
}
