/** Training until the device is lost, for tests of what is left then. */
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import { BackendError, mseLoss, scope, withDevice } from "../../src/index.ts";
import type { Run } from "../checkpoint/training.ts";

/** The loss before each of some steps. */
export async function losses({ model, optimizer, loader }: Run, steps: number): Promise<number[]> {
  const found: number[] = [];
  optimizer.train!();
  for (let i = 0; i < steps; i++) {
    const open = scope();
    try {
      const loss = withDevice("webgpu", () => {
        loader.loadState(loader.state()); // a loop of one batch: it would not await on this device
        const [x, y] = loader[Symbol.iterator]().next().value as Tensor[];
        return optimizer.step(() => {
          optimizer.zeroGrad();
          const value = mseLoss(model.forward(x), y);
          value.backward();
          return value;
        });
      });
      found.push(await loss.item());
    } finally {
      open.unwind();
    }
  }
  return found;
}

/** The error is that of a lost device, and says what to do. */
export async function rejectsAsLost(pending: Promise<unknown>): Promise<void> {
  const error = await pending.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.instance(error, BackendError);
  assert.match(
    (error as Error).message,
    /the device was lost.*await init\(\).*load the last checkpoint/,
  );
}
