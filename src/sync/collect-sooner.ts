import { setFlagsFromString } from 'node:v8';

/**
 * V8 lets garbage pile up to twice what is in use. Where many files are sent, collecting sooner makes
 * 155 instead of 235 MiB at the peak (50,000 files), for a few percent of the time. It works best
 * from before the scan on, while the heap is still small.
 */
export function collectGarbageSooner(): void {
  setFlagsFromString('--optimize-for-size');
}
