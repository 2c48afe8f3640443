/**
 * What used to look at values on the way, where values can only be read asynchronously: on a stand-in, so
 * wherever tests run, and on the GPU.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import {
  BackendError,
  loadCheckpoint,
  mseLoss,
  saveCheckpointAsync,
  scope,
  withDevice,
} from "../../src/index.ts";
import type { Run } from "../checkpoint/training.ts";
import { build } from "../checkpoint/training.ts";
import { loseDevice, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import { asynchronousCases, disposeRun } from "./asynchronous.ts";
import { startStandIn, stopStandIn } from "./stand-in.ts";

const standIn = suite("asynchronous reads, stand-in");
for (const [name, run] of asynchronousCases) standIn(name, run);
standIn.before(startStandIn);
standIn.after(stopStandIn);
standIn.run();

const gpu = suite("asynchronous reads, webgpu");
if (unavailable !== null) gpu.skip("every test", unavailable);
else {
  for (const [name, run] of asynchronousCases) gpu(name, run);
  gpu(
    "a lost device leaves the last checkpoint, from which another goes on with the same losses",
    async () => {
      const folder = mkdtempSync(path.join(tmpdir(), "roadless-lost-"));
      const file = path.join(folder, "run.safetensors");
      try {
        const first = withDevice("webgpu", () => build("AdamWScheduleFree", 0));
        await losses(first, 5);
        await saveCheckpointAsync(file, first);
        const expected = await losses(first, 6);
        const before = readFileSync(file);
        loseDevice();
        await rejects(losses(first, 1));
        await rejects(saveCheckpointAsync(file, first));
        assert.equal(readFileSync(file), before);
        assert.equal(readdirSync(folder), ["run.safetensors"]);
        disposeRun(first);

        await startWebGpu();
        const second = withDevice("webgpu", () => build("AdamWScheduleFree", 99));
        loadCheckpoint(file, second);
        assert.equal(await losses(second, 6), expected);
        disposeRun(second);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
}

/** The loss before each of some steps. */
async function losses({ model, optimizer, loader }: Run, steps: number): Promise<number[]> {
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

async function rejects(pending: Promise<unknown>): Promise<void> {
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

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);
gpu.run();
