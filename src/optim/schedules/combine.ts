/** Schedulers made of schedulers: one after another, or all at once. */
import { live } from "../../capture.ts";
import { ValueError } from "../../errors.ts";
import type { Scheduled, SchedulerState, Steppable } from "./scheduler.ts";
import { isFinite, isWhole, LRScheduler, number } from "./scheduler.ts";

export interface SequentialLROptions {
  /** The schedulers, of the same optimizer, in order. */
  schedulers: readonly LRScheduler[];
  /** The epochs at which the next one takes over: rising, one fewer than schedulers. */
  milestones: readonly number[];
  /** The index of the last epoch done. Default −1. */
  lastEpoch?: number;
}

/**
 * One scheduler after another. Each starts with its epoch 0 when its turn comes, by its closed form
 * where it has one: from the base rate, not from where the one before left off.
 *
 * @throws ValueError when lists do not fit, or schedulers belong to another optimizer
 */
export class SequentialLR implements Steppable {
  readonly optimizer: Scheduled;
  lastEpoch: number;
  private readonly schedulers: readonly LRScheduler[];
  private readonly milestones: number[];
  private lastLr: number[];

  constructor(
    optimizer: Scheduled,
    { schedulers, milestones, lastEpoch = -1 }: SequentialLROptions,
  ) {
    checkMembers("SequentialLR", optimizer, schedulers);
    for (const [i, scheduler] of schedulers.entries()) {
      if (scheduler instanceof LRScheduler) continue;
      throw new ValueError(
        `SequentialLR: scheduler ${i} is a ${nameOf(scheduler)}; expected one whose rates follow ` +
          "from the epoch alone",
      );
    }
    const rising = milestones.every((epoch, i) => isWhole(epoch, i === 0 ? 0 : milestones[i - 1]));
    if (!rising || milestones.length !== schedulers.length - 1) {
      throw new ValueError(
        `SequentialLR: milestones is [${milestones.join(", ")}] for ${schedulers.length} ` +
          `schedulers; expected ${schedulers.length - 1} rising whole numbers`,
      );
    }
    this.optimizer = optimizer;
    this.schedulers = [...schedulers];
    this.milestones = [...milestones];
    this.lastEpoch = lastEpoch + 1;
    for (const group of optimizer.paramGroups as readonly { lr: number; initialLr: number }[]) {
      group.lr = group.initialLr;
    }
    for (const scheduler of schedulers) scheduler.undo();
    schedulers[0].restart();
    this.lastLr = schedulers[0].getLastLr();
  }

  /** Sets every group's rate for the next step. */
  step(): void {
    live(() => this.advance());
  }

  private advance(): void {
    this.lastEpoch++;
    const index = this.milestones.filter((epoch) => epoch <= this.lastEpoch).length;
    const scheduler = this.schedulers[index];
    if (index > 0 && this.milestones[index - 1] === this.lastEpoch) scheduler.jump(0);
    else scheduler.step();
    this.lastLr = scheduler.getLastLr();
  }

  /** The rates that are in effect, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  stateDict(): SchedulerState {
    return {
      _schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()),
      _milestones: [...this.milestones],
      last_epoch: this.lastEpoch,
      _last_lr: this.getLastLr(),
    };
  }

  /** @throws ValueError naming what does not fit */
  loadStateDict(state: SchedulerState): void {
    const where = "SequentialLR.loadStateDict";
    const last = number(where, state, "last_epoch");
    const milestones = state._milestones;
    if (!Array.isArray(milestones) || milestones.length !== this.milestones.length) {
      throw new ValueError(
        `${where}: _milestones does not fit; expected ${this.milestones.length}`,
      );
    }
    const rates = ratesIn(where, this.optimizer, state);
    loadMembers(where, this.schedulers, state);
    this.milestones.splice(0, milestones.length, ...(milestones as number[]));
    this.lastEpoch = last;
    this.lastLr = setRates(this.optimizer, rates);
  }
}

/**
 * Several chainable schedulers at once: each multiplies what the ones before it left.
 *
 * @throws ValueError when there is none, or they belong to different optimizers
 */
export class ChainedScheduler implements Steppable {
  readonly optimizer: Scheduled;
  private readonly schedulers: readonly Steppable[];
  private lastLr: number[];

  constructor(schedulers: readonly Steppable[], optimizer?: Scheduled) {
    this.optimizer = optimizer ?? schedulers[0]?.optimizer;
    checkMembers("ChainedScheduler", this.optimizer, schedulers);
    this.schedulers = [...schedulers];
    this.lastLr = this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** Sets every group's rate for the next step. */
  step(): void {
    live(() => {
      for (const scheduler of this.schedulers) scheduler.step();
      this.lastLr = this.optimizer.paramGroups.map(({ lr }) => lr);
    });
  }

  /** The rates that are in effect, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  stateDict(): SchedulerState {
    return {
      _schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()),
      _last_lr: this.getLastLr(),
    };
  }

  /** @throws ValueError naming what does not fit */
  loadStateDict(state: SchedulerState): void {
    const where = "ChainedScheduler.loadStateDict";
    const rates = ratesIn(where, this.optimizer, state);
    loadMembers(where, this.schedulers, state);
    this.lastLr = setRates(this.optimizer, rates);
  }
}

const nameOf = (value: object): string => value.constructor.name;

function checkMembers(where: string, optimizer: Scheduled, schedulers: readonly Steppable[]): void {
  if (schedulers.length === 0) {
    throw new ValueError(`${where}: the list of schedulers is empty; expected at least one`);
  }
  schedulers.forEach((scheduler, i) => {
    if (scheduler.optimizer === optimizer) return;
    throw new ValueError(
      `${where}: scheduler ${i} belongs to another optimizer; expected the same for all`,
    );
  });
}

function loadMembers(where: string, members: readonly Steppable[], state: SchedulerState): void {
  const saved = state._schedulers;
  if (!Array.isArray(saved) || saved.length !== members.length) {
    throw new ValueError(
      `${where}: _schedulers has ${Array.isArray(saved) ? saved.length : "no"} entries; ` +
        `expected ${members.length}`,
    );
  }
  const before = members.map((scheduler) => scheduler.stateDict());
  const rates = members[0].optimizer.paramGroups.map(({ lr }) => lr);
  try {
    members.forEach((scheduler, i) => scheduler.loadStateDict(saved[i] as SchedulerState));
  } catch (error) {
    members.forEach((scheduler, i) => scheduler.loadStateDict(before[i]));
    setRates(members[0].optimizer, rates);
    throw error;
  }
}

function ratesIn(where: string, optimizer: Scheduled, state: SchedulerState): number[] {
  const last = state._last_lr;
  const n = optimizer.paramGroups.length;
  if (Array.isArray(last) && last.length === n && last.every(isFinite)) return [...last];
  throw new ValueError(
    `${where}: _last_lr does not fit; expected ${n} numbers, one for each group`,
  );
}

/** The rates last set are those of the whole, whatever its members had. */
function setRates(optimizer: Scheduled, rates: readonly number[]): number[] {
  optimizer.paramGroups.forEach((group, g) => {
    group.lr = rates[g];
  });
  return [...rates];
}
