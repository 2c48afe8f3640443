/**
 * What is worth logging while training: a few numbers per group, at the cost of reading gradients,
 * parameters and z once.
 */
import { pow } from "../elementary/index.ts";
import { runScoped } from "../scope.ts";
import { withRecording } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { checkSyncReads } from "../tensor.ts";
import { gradientRuns } from "./gradient-runs.ts";
import type { BaseOptions } from "./base/base-optimizer.ts";
import type { FlatGroup } from "./flat.ts";
import { combineNorms, normAsync, normOf } from "./norm.ts";
import type { Optimizer } from "./optimizer.ts";
import type { AdamCScheduleFreePlusPaperOptions } from "./schedule-free/adamc.ts";
import { annealedBeta } from "./schedule-free/coefficients.ts";
import { ScheduleFreeAround } from "./schedule-free/wrapper-base.ts";

/** One group's state after its last step. Norms are Euclidean, over all parameters of the group. */
export interface GroupDiagnostics {
  /** γ of the last step: warmup and, for RAdam, rectification included. 0 before the first. */
  readonly lr: number;
  /**
   * γ(1 − β(1 − c)): by how much of the step's direction y moves. It begins at γ (c = 1) and goes to
   * γ(1 − β). Without Schedule-Free it is `lr`.
   */
  readonly effectiveLr: number;
  /** c, the weight of z in x in the last step: 1/t with constant γ and r = 0. */
  readonly c: number;
  /** ‖x − z‖: how far the average lags behind; 0 where there is no average. */
  readonly distanceXZ: number;
  /** ‖y − x‖ = (1 − β)‖x − z‖: how far from x gradients are taken. */
  readonly distanceYX: number;
  /** ‖∇f‖ of the gradients that are there now; 0 without. Take it before `zeroGrad()`. */
  readonly gradNorm: number;
}

/** What groups and their wrappers may have, by class. */
interface Group extends Partial<AdamCScheduleFreePlusPaperOptions> {
  readonly params: readonly Tensor[];
  readonly momentum?: number;
  readonly trainMode?: boolean;
  readonly k?: number;
  readonly scheduledLr?: number;
  readonly lrMax?: number;
  readonly weightSum?: number;
}

/** Where a group's sequences are: in its block, or with a wrapper. */
interface Sequences {
  readonly started: readonly boolean[];
  has(name: string): boolean;
  get(name: string): Tensor;
}

/** Every optimizer of `optim`. */
type Measurable<O extends object, C extends object> =
  | Optimizer<O, C>
  | ScheduleFreeAround<O & BaseOptions, C>;

/**
 * Measures every group of an optimizer, in either mode; nothing changes. Works with all classes;
 * where there is no average, distances are 0 and c is 1.
 */
export function diagnostics<O extends object, C extends object>(
  optimizer: Measurable<O, C>,
): GroupDiagnostics[] {
  for (const { params } of optimizer.paramGroups) {
    checkSyncReads("diagnostics", params[0], "await optim.diagnosticsAsync(optimizer)");
  }
  return measureGroups(optimizer, (x, z) => normOf(x, 2, z)).map(({ group, norms }) =>
    conclude(group, norms),
  );
}

/** `diagnostics` on every device, "webgpu" too: of the moment of the call, while training goes on. */
export async function diagnosticsAsync<O extends object, C extends object>(
  optimizer: Measurable<O, C>,
): Promise<GroupDiagnostics[]> {
  const groups = measureGroups(optimizer, (x, z) => normAsync(x, 2, z)).map(
    async ({ group, norms, held }) => {
      const counters = Object.entries(held).map(async ([name, x]) => [name, await x.item()]);
      const [gradNorm, xz, yx, numbers] = await Promise.all([
        Promise.all(norms.gradNorm),
        Promise.all(norms.xz),
        Promise.all(norms.yx),
        Promise.all(counters),
      ]);
      return conclude(
        { ...group, ...(Object.fromEntries(numbers) as Partial<Group>) },
        { ...norms, gradNorm, xz, yx },
      );
    },
  );
  return Promise.all(groups);
}

/** Norms of the runs of a group, numbers or promises. */
interface Norms<T> {
  readonly gradNorm: readonly T[];
  /** `factor` times ‖x − z‖. */
  readonly xz: readonly T[];
  readonly factor: number;
  /** ‖y − x‖, where β is not known. */
  readonly yx: readonly T[];
}

/** A group as it is now, what was measured of it, and counters that its device keeps. */
interface Seen<T> {
  readonly group: Group;
  readonly norms: Norms<T>;
  readonly held: Readonly<Record<string, Tensor>>;
}

function measureGroups<O extends object, C extends object, T>(
  optimizer: Measurable<O, C>,
  norm: (x: Tensor, z?: Tensor) => T,
): Seen<T>[] {
  const found: Seen<T>[] = [];
  const wrapped = optimizer instanceof ScheduleFreeAround ? optimizer : null;
  const { eachGroup } = wrapped === null ? plain(optimizer as Optimizer<O, C>) : around(wrapped);
  withRecording(false, () =>
    runScoped("diagnostics", () =>
      eachGroup((group, block, sequences, held) => {
        const gradNorm = gradientRuns(group.params).map(({ run }) => norm(run));
        const norms = { gradNorm, ...distances(group, block, sequences, norm) };
        found.push({ group: { ...group }, norms, held });
      }),
    ),
  );
  return found;
}

interface Visited {
  eachGroup(
    visit: (
      group: Group,
      block: FlatGroup,
      sequences: Sequences,
      held: Readonly<Record<string, Tensor>>,
    ) => void,
  ): void;
}

function plain<O extends object, C extends object>(optimizer: Optimizer<O, C>): Visited {
  return {
    eachGroup: (visit) =>
      optimizer["eachGroup"]((group, block) => {
        const { started } = block;
        const has = (name: string): boolean => block.has(name);
        const sequences = { started, has, get: (name: string) => block.block(name) };
        visit(group as Group, block, sequences, optimizer["deviceCounters"](group));
      }),
  };
}

function around<O extends BaseOptions, C extends object>(
  wrapper: ScheduleFreeAround<O, C>,
): Visited {
  const { momentum, r, weightLrPower } = wrapper.options;
  return {
    eachGroup: (visit) =>
      wrapper["eachGroup"](({ lr, d = 1 }, block, side) => {
        const { k, weightSum, lrMax, trainMode, params } = side;
        const scalars = { momentum, r, weightLrPower, k, weightSum, lrMax, trainMode, params };
        visit({ ...scalars, scheduledLr: k === 0 ? 0 : lr * d }, block, side, {});
      }),
  };
}

function conclude(group: Group, norms: Norms<number>): GroupDiagnostics {
  const known = betaOf(group);
  const distanceXZ = combineNorms(norms.xz, 2) / norms.factor;
  // Optimizers whose β changes by itself store x and y.
  const distanceYX = known === null ? combineNorms(norms.yx, 2) : (1 - known) * distanceXZ;
  const beta = known ?? (distanceXZ > 0 ? 1 - distanceYX / distanceXZ : 0);
  const c = lastWeight(group);
  const lr = group.scheduledLr ?? group.lr ?? 0;
  const gradNorm = combineNorms(norms.gradNorm, 2);
  return { lr, effectiveLr: lr * (1 - beta * (1 - c)), c, distanceXZ, distanceYX, gradNorm };
}

/** The interpolation between z (0) and x (1) of the last step; 0 without, null if no option says it. */
function betaOf(group: Group): number | null {
  if (group.weightSum === undefined) return 0;
  if (group.sfBeta1 !== undefined) {
    const options = group as AdamCScheduleFreePlusPaperOptions;
    return annealedBeta(options, Math.max(group.k! - 1, 0));
  }
  return group.momentum ?? group.betas?.[0] ?? null;
}

/** c of the last step. */
function lastWeight({ k, weightSum, lrMax, r, weightLrPower, cWarmup }: Group): number {
  if (weightSum === undefined || k === undefined) return 1;
  if (k === 0) return 0;
  if (cWarmup !== undefined && k <= cWarmup) return 1;
  return weightSum === 0 ? 0 : (pow(k, r ?? 0) * pow(lrMax!, weightLrPower ?? 2)) / weightSum;
}

function distances<T>(
  group: Group,
  block: FlatGroup,
  sequences: Sequences,
  norm: (x: Tensor, z: Tensor) => T,
): Pick<Norms<T>, "xz" | "factor" | "yx"> {
  if (!sequences.has("z")) return { xz: [], factor: 1, yx: [] };
  const beta = betaOf(group);
  const isAtY = group.trainMode === true;
  const runs = block.runs(sequences.started);
  const between = (a: Tensor, b: Tensor): T[] =>
    runs.map((run) => norm(block.part(a, run), block.part(b, run)));
  const z = sequences.get("z");
  // Where x is not in memory, y − z = β(x − z).
  const x = !isAtY || beta === 1 ? block.values : sequences.has("x") ? sequences.get("x") : null;
  const xz = between(x ?? block.values, z);
  const factor = x === null ? beta! : 1;
  if (beta !== null) return { xz, factor, yx: [] };
  return { xz, factor, yx: between(isAtY ? block.values : sequences.get("y"), x!) };
}
