/**
 * What used to look at values on the way, where values can only be read asynchronously: on a stand-in, so
 * wherever tests run, and on the GPU.
 */
import { suite } from "uvu";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import { asynchronousCases } from "./asynchronous.ts";
import { startStandIn, stopStandIn } from "./stand-in.ts";

const standIn = suite("asynchronous reads, stand-in");
for (const [name, run] of asynchronousCases) standIn(name, run);
standIn.before(startStandIn);
standIn.after(stopStandIn);
standIn.run();

const gpu = suite("asynchronous reads, webgpu");
if (unavailable !== null) gpu.skip("every test", unavailable);
else for (const [name, run] of asynchronousCases) gpu(name, run);
gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);
gpu.run();
