/**
 * A small training run with everything that a checkpoint holds: dropout, two groups with options of
 * their own, a shuffled loader.
 */
import type { CheckpointOptimizer, Tensor } from "../../src/index.ts";
import * as roadless from "../../src/index.ts";
import { ArrayDataset, DataLoader, manualSeed, mseLoss, nn, optim } from "../../src/index.ts";

export interface Run {
  model: Model;
  optimizer: CheckpointOptimizer & {
    train?(): void;
    eval?(): void;
    zeroGrad(): void;
    step<T>(closure: () => T): T;
    dispose(): void;
  };
  loader: DataLoader;
}

type Groups = { params: Tensor[]; lr?: number }[];

export const optimizers: Record<string, (groups: Groups) => Run["optimizer"]> = {
  AdamWScheduleFree: (g) => new optim.AdamWScheduleFree(g, { warmupSteps: 3, weightDecay: 0.1 }),
  "AdamWScheduleFree with inner momentum": (g) =>
    new optim.AdamWScheduleFree(g, { innerMomentum: 0.9, r: 0.5 }),
  SGDScheduleFree: (g) => new optim.SGDScheduleFree(g, { lr: 0.1 }),
  "SGDScheduleFree with β = 0": (g) => new optim.SGDScheduleFree(g, { lr: 0.1, momentum: 0 }),
  AdamWScheduleFreeReference: (g) => new optim.AdamWScheduleFreeReference(g, { decayAtZ: true }),
  AdamWScheduleFreePaper: (g) => new optim.AdamWScheduleFreePaper(g),
  RAdamScheduleFree: (g) => new optim.RAdamScheduleFree(g),
  AdamCScheduleFreePlusPaper: (g) =>
    new optim.AdamCScheduleFreePlusPaper(g, { polyakBeta: 0.9, sfBeta1AnnealSteps: 5 }),
  "ScheduleFreeWrapper around AdamW": (g) =>
    new optim.ScheduleFreeWrapper(new optim.AdamW(g), { weightDecayAtY: 0.1 }),
  "ScheduleFreeWrapper with β = 0 around SGD": (g) =>
    new optim.ScheduleFreeWrapper(new optim.SGD(g, { lr: 0.1, momentum: 0.5 }), { momentum: 0 }),
  "ScheduleFreeWrapperReference around RMSprop": (g) =>
    new optim.ScheduleFreeWrapperReference(new optim.RMSprop(g, { momentum: 0.5 })),
  ACSA: (g) => new optim.ACSA(g, { lr: 0.01 }),
  "Lookahead around AdamWScheduleFree": (g) =>
    new optim.Lookahead(new optim.AdamWScheduleFree(g), { k: 3 }),
  "Lookahead around Adam": (g) => new optim.Lookahead(new optim.Adam(g), { k: 3 }),
  SGD: (g) => new optim.SGD(g, { lr: 0.1, momentum: 0.9 }),
  AdamW: (g) => new optim.AdamW(g, { amsgrad: true }),
  RMSprop: (g) => new optim.RMSprop(g, { centered: true, momentum: 0.9 }),
  Adagrad: (g) => new optim.Adagrad(g),
  RAdam: (g) => new optim.RAdam(g),
  Lion: (g) => new optim.Lion(g),
  Adafactor: (g) => new optim.Adafactor(g),
  AdamWScheduleFreeClosure: (g) => new optim.AdamWScheduleFreeClosure(g),
};

const examples = new ArrayDataset(
  { data: Float32Array.from({ length: 66 }, (_, i) => Math.sin(i)), shape: [22, 3] },
  { data: Float32Array.from({ length: 22 }, (_, i) => Math.cos(i)), shape: [22, 1] },
);

export class Model extends nn.Module {
  first = new nn.Linear(3, 6);
  drop = new nn.Dropout(0.3);
  last = new nn.Linear(6, 1);
  scale = roadless.ones([1]);

  forward(x: Tensor): Tensor {
    return this.last.forward(this.drop.forward(this.first.forward(x).tanh())).mul(this.scale);
  }
}

/** On the default device. Leaves nothing to a scope but the buffer `scale`. */
export function build(name: string, seed: number): Run {
  manualSeed(seed);
  const model = new Model();
  const groups: Groups = [
    { params: model.first.parameters() },
    { params: model.last.parameters(), lr: 0.02 },
  ];
  const optimizer = optimizers[name](groups);
  return { model, optimizer, loader: new DataLoader(examples, { batchSize: 4, shuffle: true }) };
}

/** `steps` batches, through as many epochs as that takes, from where the loader is. */
export function train({ model, optimizer, loader }: Run, steps: number): void {
  model.train();
  optimizer.train?.();
  loader.loadState(loader.state()); // a loop that was left in the middle goes on there
  for (let left = steps; left > 0;) {
    for (const [x, y] of loader) {
      optimizer.step(() => {
        optimizer.zeroGrad();
        const loss = mseLoss(model.forward(x), y);
        loss.backward();
        return loss;
      });
      if (--left === 0) break;
    }
  }
}

/** Every bit that the run consists of, in train mode and in eval mode. */
export function fingerprint({ model, optimizer, loader }: Run): string {
  const weights = () => model.namedTensors().map(([name, x]) => [name, x.toArray()]);
  const seen: unknown[] = [loader.state(), roadless.defaultGenerator().getState(), weights()];
  optimizer.eval?.();
  seen.push(weights());
  optimizer.train?.();
  seen.push(weights());
  return JSON.stringify(seen);
}
