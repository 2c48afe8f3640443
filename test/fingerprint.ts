/** FNV-1a over the bytes: small, and the same everywhere. */
export function fingerprint(arrays: readonly ArrayBufferView[]): string {
  let h = 0x811c9dc5;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) {
      h = Math.imul(h ^ byte, 0x01000193);
    }
  }
  return (h >>> 0).toString(16).padStart(8, "0");
}
