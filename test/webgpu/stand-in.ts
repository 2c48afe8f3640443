/** A device "webgpu" without a GPU: the reference backend, whose results can only be read asynchronously. */
import type { TypedArray } from "../../src/index.ts";
import { init } from "../../src/index.ts";
import type { Buffer, Capabilities } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference/backend.ts";
import { registerBackend } from "../../src/device.ts";
import { BackendError } from "../../src/errors.ts";

class StandIn extends ReferenceBackend {
  override readonly device = "webgpu" as never;

  override readSync(): never {
    throw new BackendError("stand-in: read at once, which a GPU cannot do");
  }

  override async read(buffer: Buffer, offset: number, size: number): Promise<TypedArray> {
    return super.readSync(buffer, offset, size);
  }

  override capabilities(): Capabilities {
    return { ...super.capabilities(), device: "webgpu", syncReads: false };
  }
}

export async function startStandIn(): Promise<void> {
  registerBackend("webgpu", { createAsync: async () => new StandIn() });
  await init({ device: "webgpu" });
  await init({ device: "cpu" });
}

/** The next `init({ device: "webgpu" })` looks for a GPU again. */
export function stopStandIn(): void {
  registerBackend("webgpu", {
    createAsync: async (options) =>
      (await import("../../src/backend/webgpu/backend.ts")).createGpuBackend(options),
  });
}
