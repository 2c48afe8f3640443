/** Reading and writing whole files where there is a file system: Node, Deno, Bun. */
import { BackendError, ValueError } from "./errors.ts";

function builtin<T>(pick: (process: NodeJS.Process) => T): T | undefined {
  const { process } = globalThis as { process?: NodeJS.Process };
  // Absent in browsers; present as a stub in some bundles and workers.
  return process?.getBuiltinModule === undefined ? undefined : pick(process);
}

function fileSystem(op: string, instead: string): typeof import("node:fs") {
  const fs = builtin((process) => process.getBuiltinModule("node:fs"));
  if (fs?.readFileSync === undefined) {
    throw new BackendError(`${op}: there is no file system here; ${instead}`);
  }
  return fs;
}

function failure(op: string, verb: string, path: string, cause: unknown): BackendError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BackendError(`${op}: cannot ${verb} ${path}: ${reason}`, { cause });
}

/** The bytes of a file. `instead` says what to do where there is no file system. */
export function readFile(op: string, path: string, instead: string): Uint8Array {
  const fs = fileSystem(op, instead);
  try {
    const bytes = fs.readFileSync(path);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (cause) {
    throw failure(op, "read", path, cause);
  }
}

/**
 * Writes a file so that, whatever happens, `path` holds either all of the new bytes or what it
 * held before: into a temporary file beside it, flushed to the disk, then renamed.
 */
export function writeFile(op: string, path: string, bytes: Uint8Array, instead: string): void {
  const fs = fileSystem(op, instead);
  const unique = Math.floor(Math.random() * 2 ** 48).toString(36);
  const temporary = `${path}.${unique}.tmp`;
  let file: number | undefined;
  try {
    file = fs.openSync(temporary, "wx");
    for (let done = 0; done < bytes.length;) {
      // One write call moves at most 2 GiB.
      done += fs.writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30));
    }
    fs.fsyncSync(file);
    fs.closeSync(file);
    fs.renameSync(temporary, path);
  } catch (cause) {
    if (file !== undefined) {
      try {
        fs.closeSync(file);
      } catch {
        // Closed already: it was the rename that failed.
      }
      fs.rmSync(temporary, { force: true });
    }
    throw failure(op, "write", path, cause);
  }
}

/** Makes a folder, and those it lies in, unless it is there. */
export function makeFolder(op: string, path: string, instead: string): void {
  const fs = fileSystem(op, instead);
  try {
    fs.mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw failure(op, "make the folder", path, cause);
  }
}

/** Unpacks gzip; ValueError when it is corrupt. */
export function gunzip(op: string, bytes: Uint8Array, source: string): Uint8Array {
  const zlib = builtin((process) => process.getBuiltinModule("node:zlib"));
  if (zlib?.gunzipSync === undefined) {
    throw new BackendError(`${op}: ${source} is gzip; unpack it first (DecompressionStream)`);
  }
  try {
    const unpacked = zlib.gunzipSync(bytes);
    return new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ValueError(`${op}: ${source} is not valid gzip: ${reason}`, { cause });
  }
}
