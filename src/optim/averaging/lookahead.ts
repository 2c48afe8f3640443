/** Lookahead around any optimizer. */
import { takeEveryTime } from "../../capture.ts";
import { LifetimeError, ValueError } from "../../errors.ts";
import { add, sub } from "../../ops/arithmetic.ts";
import { clone } from "../../ops/movement.ts";
import { runScoped } from "../../scope.ts";
import { withRecording } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { fromData, typedArray } from "../../tensor.ts";
import type { OptionTable } from "../options.ts";
import { checkOptions, unit, withDefaults } from "../options.ts";
import { lerpInPlace } from "../schedule-free/kernels.ts";
import type { StateDict, StateValue } from "../state-dict.ts";
import type { Block } from "./flat-copy.ts";
import { disposeBlock, FlatCopies } from "./flat-copy.ts";

export interface LookaheadOptions {
  /** Steps of the wrapped optimizer between two of the slow weights. Default 5. */
  k: number;
  /** How far the slow weights go, from 0 to 1. Default 0.5. */
  alpha: number;
}

/** What Lookahead wraps: every optimizer of ours. */
export interface LookaheadBase {
  readonly name: string;
  readonly paramGroups: readonly { lr: number; readonly params: readonly Tensor[] }[];
  step(): unknown;
  step<T>(closure: () => T): T;
  zeroGrad(): void;
  stateDict(): StateDict;
  loadStateDict(dict: StateDict): void;
  dispose(): void;
  train?(): void;
  eval?(): void;
  withEval?<T>(fn: () => T): T;
}

const options: OptionTable<LookaheadOptions> = {
  k: {
    default: 5,
    expected: "a whole number ≥ 1",
    accepts: (value) => Number.isInteger(value) && (value as number) >= 1,
  },
  alpha: unit(0.5),
};

/** Where the sequences of Schedule-Free optimizers are in their saved state. */
const sequences = ["x", "y", "z"];

/**
 * Lookahead (Zhang, Lucas, Hinton and Ba, arXiv 1907.08610): after every k steps of the wrapped
 * optimizer, with θ its weights,
 *
 *     φ ← φ + α (θ − φ);   θ ← φ
 *
 * The wrapped optimizer keeps its momenta. Around a Schedule-Free optimizer θ is what the parameters
 * hold when it steps (y; x in the Closure forms), and the other sequences are moved by as much, so
 * that z − x, which is its momentum, stays.
 *
 * Rates and other options are those in `paramGroups`, which are the wrapped optimizer's.
 *
 * @throws ValueError for options out of their domain
 */
export class Lookahead {
  /** The wrapped optimizer. */
  readonly base: LookaheadBase;
  readonly k: number;
  readonly alpha: number;
  private readonly copies: FlatCopies;
  private readonly slow: Block;
  /** Does it wrap an optimizer of several sequences? */
  private readonly modal: boolean;
  /** Steps since the slow weights last moved. */
  private steps = 0;
  /** The slow weights start where the first step does. */
  private started = false;

  constructor(base: LookaheadBase, given: Partial<LookaheadOptions> = {}) {
    checkOptions("Lookahead", options, given);
    const { k, alpha } = withDefaults(options, {}, given);
    this.base = base;
    this.k = k;
    this.alpha = alpha;
    this.modal = base.name.includes("ScheduleFree") || "withEval" in base;
    this.copies = new FlatCopies("Lookahead", paramsOf(base));
    this.slow = this.copies.allocate("slow weights");
  }

  get name(): string {
    return `Lookahead(${this.base.name})`;
  }

  get paramGroups(): LookaheadBase["paramGroups"] {
    return this.base.paramGroups;
  }

  zeroGrad(): void {
    this.base.zeroGrad();
  }

  /** A step of the wrapped optimizer, and after every k of them one of the slow weights. */
  step(): undefined;
  step<T>(closure: () => T): T;
  step<T>(closure?: () => T): T | undefined {
    const where = "Lookahead.step";
    if (takeEveryTime(where, closure, () => this.step())) return undefined;
    if (paramsOf(this.base).length !== this.copies.params.length) {
      throw new LifetimeError(
        `${where}: the wrapped optimizer has other parameters than when it was wrapped; ` +
          "add groups before wrapping it",
      );
    }
    if (!this.started) this.copies.read(this.slow);
    const result = closure === undefined ? undefined : this.base.step(closure);
    if (closure === undefined) this.base.step();
    this.started = true;
    if (++this.steps >= this.k) {
      this.steps = 0;
      this.synchronize();
    }
    return result;
  }

  /** Schedule-Free: the wrapped optimizer's mode. */
  train(): void {
    this.base.train?.();
  }

  /** Schedule-Free: the wrapped optimizer's mode. */
  eval(): void {
    this.base.eval?.();
  }

  /** Runs `fn` at what the wrapped optimizer evaluates at, and comes back. */
  withEval<T>(fn: () => T): T {
    return this.base.withEval === undefined ? fn() : this.base.withEval(fn);
  }

  /** The wrapped optimizer's state, with `slow_buffer` beside it and counters in its groups. */
  stateDict(): StateDict {
    const { state, param_groups: groups } = this.base.stateDict();
    const slow = this.started ? this.copies.unpack(this.slow, "slow weights") : [];
    const merged: Record<number, Record<string, StateValue>> = {};
    this.copies.params.forEach((_param, i) => {
      const own: Record<string, StateValue> = slow.length > 0 ? { slow_buffer: slow[i] } : {};
      if (state[i] !== undefined || slow.length > 0) merged[i] = { ...state[i], ...own };
    });
    const counters = { lookahead_k: this.k, lookahead_alpha: this.alpha };
    return {
      state: merged,
      param_groups: groups.map((group) => ({ ...group, ...counters, lookahead_step: this.steps })),
    };
  }

  /**
   * Restores what `stateDict()` saved; k and alpha are this object's.
   *
   * @throws ValueError or ShapeError naming what differs; nothing has changed then
   */
  loadStateDict(dict: StateDict): void {
    const where = "Lookahead.loadStateDict";
    const steps = dict?.param_groups?.[0]?.lookahead_step;
    if (!Number.isInteger(steps) || (steps as number) < 0) {
      throw new ValueError(
        `${where}: lookahead_step is ${String(steps)}; expected a whole number ≥ 0 ` +
          "(was the state saved by the optimizer alone?)",
      );
    }
    const slow: StateValue[] = [];
    const state: Record<string, Record<string, StateValue>> = {};
    for (const [number, values] of Object.entries(dict.state)) {
      const { slow_buffer: own, ...rest } = values;
      if (own !== undefined) slow.push(own);
      if (Object.keys(rest).length > 0) state[number] = rest;
    }
    const values = slow.length === 0 ? null : this.copies.check(where, slow);
    this.base.loadStateDict({ state, param_groups: dict.param_groups });
    if (values !== null) this.copies.pack(this.slow, values);
    this.started = values !== null;
    this.steps = steps as number;
  }

  /** Frees the slow weights, and what the wrapped optimizer holds. */
  dispose(): void {
    disposeBlock(this.slow);
    this.base.dispose();
  }

  private synchronize(): void {
    withRecording(false, () => runScoped("Lookahead.step", () => this.moveSlow()));
  }

  private moveSlow(): void {
    this.copies.eachRun(this.slow, (fast, slow) => lerpInPlace(slow, fast, this.alpha));
    if (!this.modal) {
      this.copies.write(this.slow);
      this.copies.touch();
      return;
    }
    const before = this.copies.params.map((param) => clone(param));
    const { state, param_groups: groups } = this.base.stateDict();
    this.copies.write(this.slow);
    this.copies.touch();
    const moved: Record<number, Record<string, StateValue>> = {};
    this.copies.params.forEach((param, i) => {
      if (state[i] === undefined) return;
      const shift = sub(param, before[i]);
      moved[i] = { ...state[i] };
      for (const key of sequences) {
        const value = state[i][key];
        if (value !== undefined)
          moved[i][key] = key === "y" ? clone(param) : add(tensorOf(value, param), shift);
      }
    });
    this.base.loadStateDict({ state: moved, param_groups: groups });
  }
}

/** A saved value as a tensor like the parameter. */
const tensorOf = (value: StateValue, param: Tensor): Tensor =>
  "dataSync" in value
    ? value
    : fromData(param.backend, typedArray(param.dtype, value), param.shape);

const paramsOf = ({ paramGroups }: LookaheadBase): Tensor[] =>
  paramGroups.flatMap(({ params }) => params);
