;; What node:crypto does slowly for blocks of 4 KiB: everything of AES-256-GCM but AES itself.
;; NIST SP 800-38D, with an IV of 16 bytes and 24 bytes of associated data (BE64(block number) and
;; file ID), for up to 8 file blocks at a time, which follow one another in a file.
;;
;; `npm run wasm` compiles this into gcm-kernel-code.ts. It knows two words that are none of
;; WebAssembly's own:
;;
;;   (@multiply $y BASE)  $y := $y · K, by the table of K at BASE; uses the locals $low and $high.
;;                        Unrolled into 16 loads, one for each byte of $y, added up one after the
;;                        other: with four products under way that beats a tree.
;;   {NAME}               a number: a place in the memory below, as scripts/build-gcm-kernel.mjs lists them.
;;
;; The order of bits (§6.3). A block of 16 bytes in memory is a polynomial over GF(2): the highest
;; bit of byte 0 is the coefficient of x^0, the lowest bit of byte 15 that of x^127. Multiplying by x
;; moves each bit to the next lower place, and from the last bit of a byte to the first of the next;
;; what leaves byte 15 comes back as R = 1 + x + x^2 + x^7, the byte e1 at the front.
;;
;; A table of K has, for each position p of a byte and for each value b, the product of K and of the
;; block that is b at position p and zero elsewhere. A product is then 16 lookups. Which entries are
;; read depends on the data and on K: see SECURITY.md on caches.
;;
;; Memory, 4 pages of 64 KiB:
;;
;;            0  1. table of H⁴: 16 positions × 256 values × 16 bytes
;;        65536  2. table of H
;;       131072  3. H = E(0^128) [16], given once: the hash subkey, §7.1 step 1
;;       131088  4. (0^64 ‖ BE64(128)) · H [16], what every J0 ends with
;;       131104  5. file ID [16]
;;       131120  6. number of the first block, little endian [8]
;;       131136  7. outer key block of HMAC [64] ‖ inner digest [32]; not touched here
;;       131328  8. plaintext to seal, 8 × 4208: 1 byte of nothing, then what the inner hash of HMAC is
;;                  of: inner key block [64] ‖ label [19] ‖ BE64(block number) ‖ file ID [16]
;;                  ‖ BE32(length) ‖ plaintext [4096], which starts at a multiple of 16
;;       164992  9. 8 × 4112: E(J0) ‖ key stream [4096], before that the counter blocks they are
;;                  made of; after opening 8 × 4096 of plaintext
;;       197888 10. 8 × 4128: nonce [16] ‖ ciphertext [4096] ‖ tag [16], as in a file
;;       230912     end
;;
;; Only the last block of a job may be shorter; what follows it then moves up: its tag is right
;; behind its ciphertext.
(module
  (memory (export "memory") 4 4)

  ;; The two 64-bit halves of a block as numbers, most significant byte first, or back.
  (func $swap64 (param $x v128) (result v128)
    (i8x16.shuffle 7 6 5 4 3 2 1 0 15 14 13 12 11 10 9 8 (local.get $x) (local.get $x)))

  ;; $y · H
  (func $timesH (param $y v128) (result v128)
    (local $low i64) (local $high i64)
    (@multiply $y {H_TABLE})
    (local.get $y))

  ;; Makes the table of $k at $base; all entries of the value 0 are zero already.
  (func $fillTable (param $base i32) (param $k v128)
    (local $first i64) (local $second i64) (local $carry i64)
    (local $end i32) (local $bit i32) (local $value i32) (local $rest i32)
    (local.set $k (call $swap64 (local.get $k)))
    (local.set $first (i64x2.extract_lane 0 (local.get $k)))
    (local.set $second (i64x2.extract_lane 1 (local.get $k)))
    (local.set $end (i32.add (local.get $base) (i32.const 65536)))
    (loop $positions
      ;; Values of one bit: K · x^(8p), K · x^(8p + 1), …, from the highest bit down.
      (local.set $bit (i32.const 128))
      (loop $bits
        (v128.store
          (i32.add (local.get $base) (i32.shl (local.get $bit) (i32.const 4)))
          (call $swap64
            (i64x2.replace_lane 1 (i64x2.splat (local.get $first)) (local.get $second))))
        (local.set $carry (i64.and (local.get $second) (i64.const 1)))
        (local.set $second
          (i64.or
            (i64.shr_u (local.get $second) (i64.const 1))
            (i64.shl (local.get $first) (i64.const 63))))
        (local.set $first
          (i64.xor
            (i64.shr_u (local.get $first) (i64.const 1))
            ;; R, or nothing: 0 - carry is all ones or zero.
            (i64.and
              (i64.sub (i64.const 0) (local.get $carry))
              (i64.const 0xe100000000000000))))
        (local.set $bit (i32.shr_u (local.get $bit) (i32.const 1)))
        (br_if $bits (local.get $bit)))
      ;; The others: without the lowest bit, and the lowest bit. A single bit gets itself again: the
      ;; rest is the entry of 0.
      (local.set $value (i32.const 3))
      (loop $values
        (local.set $rest
          (i32.and (local.get $value) (i32.sub (local.get $value) (i32.const 1))))
        (v128.store
          (i32.add (local.get $base) (i32.shl (local.get $value) (i32.const 4)))
          (v128.xor
            (v128.load (i32.add (local.get $base) (i32.shl (local.get $rest) (i32.const 4))))
            (v128.load
              (i32.add
                (local.get $base)
                (i32.shl (i32.xor (local.get $value) (local.get $rest)) (i32.const 4))))))
        (local.set $value (i32.add (local.get $value) (i32.const 1)))
        (br_if $values (i32.lt_u (local.get $value) (i32.const 256))))
      (local.set $base (i32.add (local.get $base) (i32.const 4096)))
      (br_if $positions (i32.lt_u (local.get $base) (local.get $end)))))

  ;; Once, when 3. is there: makes 1., 2. and 4.
  (func (export "prepare")
    (local $h v128)
    (local.set $h (v128.load (i32.const {H})))
    (call $fillTable (i32.const {H_TABLE}) (local.get $h))
    (call $fillTable (i32.const {H4_TABLE})
      (call $timesH (call $timesH (call $timesH (local.get $h)))))
    (v128.store (i32.const {J0_END})
      (call $timesH (call $swap64 (v128.const i64x2 0 128)))))

  ;; Which blocks the next job is about; the number has two halves because it may have 53 bits.
  (func (export "begin") (param $firstLow i32) (param $firstHigh i32)
    (i64.store (i32.const {FIRST})
      (i64.or
        (i64.extend_i32_u (local.get $firstLow))
        (i64.shl (i64.extend_i32_u (local.get $firstHigh)) (i64.const 32)))))

  ;; BE64(block number) in the first half: the start of the associated data of block $i.
  (func $blockNumber (param $i i32) (result v128)
    (call $swap64
      (i64x2.splat
        (i64.add (i64.load (i32.const {FIRST})) (i64.extend_i32_u (local.get $i))))))

  ;; Length of block $i of $count, the last of which has $last bytes.
  (func $lengthOf (param $i i32) (param $count i32) (param $last i32) (result i32)
    (select
      (local.get $last)
      (i32.const 4096)
      (i32.eq (i32.add (local.get $i) (i32.const 1)) (local.get $count))))

  ;; Completes what the inner hashes are of: block number, file ID and length in 8.
  (func (export "address") (param $count i32) (param $last i32)
    (local $i i32) (local $slot i32) (local $length i32)
    (local.set $slot (i32.const {SLOTS}))
    (loop $blocks
      (local.set $length (call $lengthOf (local.get $i) (local.get $count) (local.get $last)))
      (v128.store offset=84 (local.get $slot) (call $blockNumber (local.get $i)))
      (v128.store offset=92 (local.get $slot) (v128.load (i32.const {FILE_ID})))
      (i32.store offset=108 (local.get $slot) ;; BE32, of at most 4096
        (i32.or
          (i32.shl (local.get $length) (i32.const 24))
          (i32.shl (i32.shr_u (local.get $length) (i32.const 8)) (i32.const 16))))
      (local.set $slot (i32.add (local.get $slot) (i32.const 4208)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $blocks (i32.lt_u (local.get $i) (local.get $count)))))

  ;; Writes $count counter blocks from $j0 on: inc32 (§6.2) counts in the last 4 bytes alone, which
  ;; wrap.
  (func $count (param $at i32) (param $count i32) (param $j0 v128)
    (local $end i32) (local $swap v128) (local $one v128)
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 4))))
    ;; As locals: otherwise V8 makes them anew for each counter.
    (local.set $swap (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 15 14 13 12))
    (local.set $one (v128.const i32x4 0 0 0 1))
    (local.set $j0 (i8x16.swizzle (local.get $j0) (local.get $swap)))
    (loop $counters
      (v128.store (local.get $at) (i8x16.swizzle (local.get $j0) (local.get $swap)))
      (local.set $j0 (i32x4.add (local.get $j0) (local.get $one)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $counters (i32.lt_u (local.get $at) (local.get $end)))))

  ;; $count counter blocks from the block at 9. on, over it. For tests of the wrap.
  (func (export "count") (param $count i32)
    (call $count
      (i32.const {STREAM}) (local.get $count) (v128.load (i32.const {STREAM}))))

  ;; Writes the counter blocks of 9. out of the nonces in 10; returns their bytes in all. §7.1 step 2:
  ;; J0 = GHASH(IV ‖ 0^64 ‖ BE64(128)) = IV · H² + (0^64 ‖ BE64(128)) · H. Step 3: the key stream
  ;; begins with inc32(J0).
  (func (export "counters") (param $count i32) (param $last i32) (result i32)
    (local $i i32) (local $at i32) (local $nonce i32) (local $blocks i32)
    (local.set $at (i32.const {STREAM}))
    (local.set $nonce (i32.const {SEALED}))
    (loop $next
      (local.set $blocks
        (i32.shr_u
          (i32.add
            (call $lengthOf (local.get $i) (local.get $count) (local.get $last))
            (i32.const 31))
          (i32.const 4)))
      (call $count (local.get $at) (local.get $blocks)
        (v128.xor
          (call $timesH (call $timesH (v128.load (local.get $nonce))))
          (v128.load (i32.const {J0_END}))))
      (local.set $at (i32.add (local.get $at) (i32.shl (local.get $blocks) (i32.const 4))))
      (local.set $nonce (i32.add (local.get $nonce) (i32.const 4128)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $count))))
    (i32.sub (local.get $at) (i32.const {STREAM})))

  ;; Adds the key stream of block $i to $length bytes at $in, writes them to $out and returns the tag,
  ;; §7.1 steps 3 to 6. $hashed is where the ciphertext is: $out for sealing, $in for opening. Writes
  ;; up to 15 zero bytes behind $out.
  ;;
  ;; GHASH (§6.4) goes in four chains that the processor computes at the same time. Of the groups
  ;; g_1 … g_4n, $a has g_1, g_5, …, $b has g_2, g_6, … and so on, each multiplied by H⁴ from one to
  ;; the next. Two groups of zeros, which change nothing, come first, so that the two of associated
  ;; data complete four. GHASH of all of them is $a · H⁴ + $b · H³ + $c · H² + $d · H.
  (func $crypt
    (param $i i32) (param $in i32) (param $out i32) (param $hashed i32) (param $length i32)
    (result v128)
    (local $stream i32) (local $end i32)
    (local $first v128) (local $bytes v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $low i64) (local $high i64)
    (local.set $stream
      (i32.add (i32.const {STREAM}) (i32.mul (local.get $i) (i32.const 4112))))
    ;; First of all: where plaintext takes the place of the key stream, this is overwritten.
    (local.set $first (v128.load (local.get $stream)))
    (local.set $stream (i32.add (local.get $stream) (i32.const 16)))
    ;; BE64(block number) ‖ file ID, and 8 zero bytes
    (local.set $c
      (v128.load64_lane 1 (i32.const {FILE_ID}) (call $blockNumber (local.get $i))))
    (local.set $d (v128.load64_zero offset=8 (i32.const {FILE_ID})))

    (local.set $end (i32.add (local.get $in) (i32.and (local.get $length) (i32.const -64))))
    (if (i32.lt_u (local.get $in) (local.get $end))
      (then
        (loop $fours
          (v128.store (local.get $out)
            (v128.xor
              (v128.load (local.get $in)) (v128.load (local.get $stream))))
          (v128.store offset=16 (local.get $out)
            (v128.xor
              (v128.load offset=16 (local.get $in)) (v128.load offset=16 (local.get $stream))))
          (v128.store offset=32 (local.get $out)
            (v128.xor
              (v128.load offset=32 (local.get $in)) (v128.load offset=32 (local.get $stream))))
          (v128.store offset=48 (local.get $out)
            (v128.xor
              (v128.load offset=48 (local.get $in)) (v128.load offset=48 (local.get $stream))))
          (@multiply $a {H4_TABLE})
          (@multiply $b {H4_TABLE})
          (@multiply $c {H4_TABLE})
          (@multiply $d {H4_TABLE})
          (local.set $a (v128.xor (local.get $a) (v128.load (local.get $hashed))))
          (local.set $b (v128.xor (local.get $b) (v128.load offset=16 (local.get $hashed))))
          (local.set $c (v128.xor (local.get $c) (v128.load offset=32 (local.get $hashed))))
          (local.set $d (v128.xor (local.get $d) (v128.load offset=48 (local.get $hashed))))
          (local.set $in (i32.add (local.get $in) (i32.const 64)))
          (local.set $stream (i32.add (local.get $stream) (i32.const 64)))
          (local.set $out (i32.add (local.get $out) (i32.const 64)))
          (local.set $hashed (i32.add (local.get $hashed) (i32.const 64)))
          (br_if $fours (i32.lt_u (local.get $in) (local.get $end))))))
    (local.set $b (v128.xor (local.get $b) (call $timesH (local.get $a))))
    (local.set $c (v128.xor (local.get $c) (call $timesH (local.get $b))))
    (local.set $d (call $timesH (v128.xor (local.get $d) (call $timesH (local.get $c)))))

    ;; Up to 63 bytes are left: one to four groups, the last one filled up with zeros.
    (local.set $end (i32.add (local.get $in) (i32.and (local.get $length) (i32.const 63))))
    (if (i32.lt_u (local.get $in) (local.get $end))
      (then
        (loop $groups
          ;; Ones where there is a byte: min(bytes left, 16) of them.
          (local.set $bytes
            (i8x16.lt_u
              (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
              (i8x16.splat (i32.sub (local.get $end) (local.get $in)))))
          (v128.store (local.get $out)
            (v128.and
              (local.get $bytes)
              (v128.xor (v128.load (local.get $in)) (v128.load (local.get $stream)))))
          (local.set $d
            (call $timesH
              (v128.xor
                (local.get $d)
                (v128.and (local.get $bytes) (v128.load (local.get $hashed))))))
          (local.set $in (i32.add (local.get $in) (i32.const 16)))
          (local.set $stream (i32.add (local.get $stream) (i32.const 16)))
          (local.set $out (i32.add (local.get $out) (i32.const 16)))
          (local.set $hashed (i32.add (local.get $hashed) (i32.const 16)))
          (br_if $groups (i32.lt_u (local.get $in) (local.get $end))))))

    ;; BE64(bits of associated data: 192) ‖ BE64(bits of ciphertext); ⊕ E(J0)
    (v128.xor
      (local.get $first)
      (call $timesH
        (v128.xor
          (local.get $d)
          (call $swap64
            (i64x2.replace_lane 1
              (v128.const i64x2 192 0)
              (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 3))))))))

  ;; Seals $count blocks of plaintext in 8. by the key stream in 9: writes ciphertexts and tags
  ;; behind the nonces in 10.
  (func (export "seal") (param $count i32) (param $last i32)
    (local $i i32) (local $out i32) (local $length i32)
    (local.set $out (i32.add (i32.const {SEALED}) (i32.const 16)))
    (loop $blocks
      (local.set $length (call $lengthOf (local.get $i) (local.get $count) (local.get $last)))
      (v128.store
        (i32.add (local.get $out) (local.get $length))
        (call $crypt
          (local.get $i)
          (i32.add (i32.const {PLAIN}) (i32.mul (local.get $i) (i32.const 4208)))
          (local.get $out)
          (local.get $out)
          (local.get $length)))
      (local.set $out (i32.add (local.get $out) (i32.const 4128)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $blocks (i32.lt_u (local.get $i) (local.get $count)))))

  ;; Opens $count sealed blocks in 10. by the key stream in 9, whose place the plaintext takes: it
  ;; lies before the stream of the same block and never reaches that of the next. Returns the number
  ;; of blocks that are authentic before the first one that is not, and stops there. Tags are
  ;; compared as a whole (§7.2 step 8).
  (func (export "open") (param $count i32) (param $last i32) (result i32)
    (local $i i32) (local $in i32) (local $length i32)
    (local.set $in (i32.add (i32.const {SEALED}) (i32.const 16)))
    (loop $blocks
      (local.set $length (call $lengthOf (local.get $i) (local.get $count) (local.get $last)))
      (if
        (v128.any_true
          (v128.xor
            (call $crypt
              (local.get $i)
              (local.get $in)
              (i32.add (i32.const {STREAM}) (i32.shl (local.get $i) (i32.const 12)))
              (local.get $in)
              (local.get $length))
            (v128.load (i32.add (local.get $in) (local.get $length)))))
        (then (return (local.get $i))))
      (local.set $in (i32.add (local.get $in) (i32.const 4128)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $blocks (i32.lt_u (local.get $i) (local.get $count))))
    (local.get $count)))
