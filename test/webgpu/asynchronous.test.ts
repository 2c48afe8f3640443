/**
 * What used to look at values on the way, where values can only be read asynchronously: on a stand-in, so
 * wherever tests run, and on the GPU.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeCheckpointAsync, restoreCheckpoint, withDevice } from "../../src/index.ts";
import { build } from "../checkpoint/training.ts";
import { loseDevice, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import { asynchronousCases, disposeRun } from "./asynchronous.ts";
import { losses, rejectsAsLost } from "./lost.ts";
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
  gpu("after a lost device another goes on from a checkpoint with the same losses", async () => {
    const first = withDevice("webgpu", () => build("AdamWScheduleFree", 0));
    await losses(first, 5);
    const bytes = await encodeCheckpointAsync(first);
    const expected = await losses(first, 6);
    loseDevice();
    await rejectsAsLost(losses(first, 1));
    await rejectsAsLost(encodeCheckpointAsync(first));
    disposeRun(first);

    await startWebGpu();
    const second = withDevice("webgpu", () => build("AdamWScheduleFree", 99));
    restoreCheckpoint(bytes, second);
    assert.equal(await losses(second, 6), expected);
    disposeRun(second);
  });
}

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);
gpu.run();
