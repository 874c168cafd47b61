// The parts of the campaign, in the order of its output.
import type { Part } from './part.ts';
import { changing } from './parts/changing.ts';
import { cuts } from './parts/cuts.ts';
import { errno } from './parts/errno.ts';
import { histories } from './parts/histories.ts';
import { kills } from './parts/kills.ts';
import { parsers } from './parts/parsers.ts';
import { peers } from './parts/peers.ts';
import { powerLoss } from './parts/power-loss.ts';
import { stalls } from './parts/stalls.ts';
import { systemFiles } from './parts/system-files.ts';
import { tamper } from './parts/tamper.ts';

export const PARTS: readonly Part[] = [
  kills,
  powerLoss,
  cuts,
  stalls,
  errno,
  changing,
  histories,
  parsers,
  peers,
  systemFiles,
  tamper,
];
