/** Hashes of float bits: equal where every bit is equal, and easy to write in any language. */

/**
 * FNV-1a, 32 bits (Fowler, Noll, Vo; draft-eastlake-fnv), over the bytes of the values as they lie in
 * memory, little-endian (float32: 4 bytes each, float64: 8):
 *
 *   h = 0x811c9dc5;  for each byte: h ^= byte;  h = h · 0x01000193 mod 2^32
 *
 * as eight hexadecimal digits.
 */
export function hashOf(values: ArrayBufferView): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let h = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  return (h >>> 0).toString(16).padStart(8, "0");
}
