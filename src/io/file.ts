/** safetensors files. */
import { readFile, writeFile } from "../files.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  encodeSafetensorsAsync,
  type SafetensorsContent,
  type SafetensorsInput,
} from "./safetensors.ts";

/**
 * Writes tensors to a safetensors file; see `encodeSafetensors`. The write is atomic: after a crash
 * or an error `path` holds what it held before. Throws BackendError when the file cannot be
 * written or there is no file system, as in browsers.
 */
export function saveSafetensors(
  path: string,
  tensors: SafetensorsInput,
  metadata?: Readonly<Record<string, string>>,
): void {
  const bytes = encodeSafetensors(tensors, metadata);
  writeFile("saveSafetensors", path, bytes, "use encodeSafetensors(tensors) and keep the bytes");
}

/** `saveSafetensors` of tensors on any device, "webgpu" too, as they are at the moment of the call. */
export async function saveSafetensorsAsync(
  path: string,
  tensors: SafetensorsInput,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const bytes = await encodeSafetensorsAsync(tensors, metadata);
  const instead = "use await encodeSafetensorsAsync(tensors) and keep the bytes";
  writeFile("saveSafetensorsAsync", path, bytes, instead);
}

/**
 * Reads a safetensors file; see `decodeSafetensors`. Throws BackendError when the file cannot be
 * read or there is no file system, as in browsers.
 */
export function loadSafetensors(path: string): SafetensorsContent {
  const instead = "fetch the bytes and use decodeSafetensors(bytes)";
  return decodeSafetensors(readFile("loadSafetensors", path, instead), path);
}
