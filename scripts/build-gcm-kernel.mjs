#!/usr/bin/env node
// Compiles src/gocryptfs/content/gcm-kernel.wat into src/gocryptfs/content/gcm-kernel-code.ts (`npm run wasm`). With
// --check nothing is written: fails unless the committed file is what would be.
import { readFileSync, writeFileSync } from 'node:fs';
import wabtModule from 'wabt';

const folder = new URL('../src/gocryptfs/content/', import.meta.url);
const source = new URL('gcm-kernel.wat', folder);
const target = new URL('gcm-kernel-code.ts', folder);

/** Where things are in memory: the map is in the source. */
const PLACES = {
  H4_TABLE: 0,
  H_TABLE: 65536,
  H: 131072,
  J0_END: 131088,
  FILE_ID: 131104,
  FIRST: 131120,
  OUTER_KEY: 131136,
  SLOTS: 131328,
  PLAIN: 131328 + 112,
  STREAM: 164992,
  SEALED: 197888,
};

/** (@multiply $y BASE) as WebAssembly: a lookup for each byte of $y, added up. */
function multiply(y, base) {
  const lookup = (position) => {
    const half = position < 8 ? '$low' : '$high';
    // 16 times the byte: entries have 16 bytes. Halves are little endian, bytes in the order of memory.
    const shift = 8 * (position % 8) - 4;
    const index =
      shift < 0
        ? `(i32.and (i32.shl (i32.wrap_i64 (local.get ${half})) (i32.const 4)) (i32.const 4080))`
        : `(i32.and (i32.wrap_i64 (i64.shr_u (local.get ${half}) (i64.const ${shift}))) (i32.const 4080))`;
    return `(v128.load offset=${Number(base) + position * 4096} ${index})`;
  };
  const sum = Array.from({ length: 16 }, (_, position) => lookup(position)).reduce(
    (before, next) => `(v128.xor ${before} ${next})`,
  );
  return `(local.set $low (i64x2.extract_lane 0 (local.get ${y})))
    (local.set $high (i64x2.extract_lane 1 (local.get ${y})))
    (local.set ${y} ${sum})`;
}

function expand(text) {
  return text
    .replace(/\{([A-Z0-9_]+)\}/g, (_, name) => {
      if (!(name in PLACES)) throw new Error(`gcm-kernel.wat: no place is called ${name}`);
      return PLACES[name];
    })
    .replace(/\(@multiply (\$\w+) (\d+)\)/g, (_, y, base) => multiply(y, base));
}

async function compile(text) {
  const wabt = await wabtModule();
  const module = wabt.parseWat('gcm-kernel.wat', text, { simd: true });
  module.validate();
  return Buffer.from(module.toBinary({}).buffer);
}

/** Bit for bit what prettier makes of it. */
function typescript(bytes) {
  const { FILE_ID, H, OUTER_KEY, PLAIN, SEALED, SLOTS, STREAM } = PLACES;
  return `// Made of gcm-kernel.wat by \`npm run wasm\`; a test compares them.

/** Where things are in the kernel's memory, in bytes; the map is in gcm-kernel.wat. */
export const KERNEL_PLACES = {
  hashKey: ${H},
  fileID: ${FILE_ID},
  outerKey: ${OUTER_KEY},
  slots: ${SLOTS},
  plain: ${PLAIN},
  stream: ${STREAM},
  sealed: ${SEALED},
};

/** The module, ${bytes.length} bytes in base64. */
export const KERNEL_CODE =
  '${bytes.toString('base64')}';
`;
}

// Comments may say {NAME} too.
const code = readFileSync(source, 'utf8').replace(/;;.*$/gm, '');
const text = typescript(await compile(expand(code)));
if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error('gcm-kernel-code.ts is not what gcm-kernel.wat compiles to: npm run wasm');
  process.exit(1);
}
