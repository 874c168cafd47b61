/** Has `toEqual` compare bytes as bytes: vitest looks at each as an object of its own, for seconds a megabyte. */
import { expect } from 'vitest';

expect.addEqualityTesters([
  (a, b) => {
    const areBytes = a instanceof Uint8Array && b instanceof Uint8Array;
    if (!areBytes || Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return undefined;
    return Buffer.compare(a, b) === 0;
  },
]);
