/** An example as a user starts it, without a terminal. */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** `name`: a file in examples/. `preload`: arguments of Node. */
export function start(name: string, args: readonly string[], preload: readonly string[] = []) {
  const all = [...preload, "--import", "tsx", `examples/${name}.ts`, ...args];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code) => resolve({ code, stdout, stderr })),
  );
  const printed = async (text: string) => {
    while (!stdout.includes(text)) {
      if (child.exitCode !== null) throw new Error(`ended without ${text}: ${stdout}${stderr}`);
      await sleep(10);
    }
  };
  return { child, ended, printed, output: () => stdout };
}

/** The last line of every example that disposes of what it made. */
export const released =
  /^(\d+:)?\d+:\d\d in all; [\d.,]+ [kM]B of tensors at most, all of it released$/;
