/**
 * The counter hash of dropout: stateless, so that backward makes the same mask again.
 *
 * In unsigned 32-bit arithmetic (multiplications and additions mod 2^32, >> logical):
 *
 *     mix(h):  h ^= h >> 16;  h *= 0x85EBCA6B;  h ^= h >> 13;  h *= 0xC2B2AE35;  h ^= h >> 16
 *     key      = mix(seed ^ mix(call))
 *     keep(i)  = mix(i ^ key) ≥ ⌈p·2^32⌉
 *
 * `mix` is MurmurHash3's finaliser (A. Appleby).
 */

@final
export class Hash {
  static mix(h: u32): u32 {
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    return h ^ (h >> 16);
  }

  static key(seed: u32, call: u32): u32 {
    return Hash.mix(seed ^ Hash.mix(call));
  }

  /** Of four counters: lanes that are kept. `m1`, `m2` are FIRST and SECOND in every lane. */
  @inline
  static keep(counter: v128, key: v128, threshold: v128, m1: v128, m2: v128): v128 {
    let h = v128.xor(counter, key);
    h = v128.xor(h, i32x4.shr_u(h, 16));
    h = i32x4.mul(h, m1);
    h = v128.xor(h, i32x4.shr_u(h, 13));
    h = i32x4.mul(h, m2);
    h = v128.xor(h, i32x4.shr_u(h, 16));
    return i32x4.ge_u(h, threshold);
  }

  static readonly FIRST: i32 = 0x85ebca6b;
  static readonly SECOND: i32 = 0xc2b2ae35;
}
