// A process that runs points of one part on demand. A point that hangs or crashes affects nothing
// else.
import { PARTS } from './parts.ts';
import type { OpenPart, Outcome, PointId } from './part.ts';

/** A message from the campaign to a worker. */
export type Order = { readonly run: PointId } | 'close';
/** A message from a worker to the campaign. */
export type Answer = { readonly ready: true } | { readonly outcome: Outcome };

const [, , name = '', cli = '', dir = ''] = process.argv;
const part = PARTS.find((one) => one.name === name);
if (part === undefined) throw new Error(`no part is called ${name}`);

function say(answer: Answer): void {
  process.send?.(answer);
}

async function run(open: OpenPart, id: PointId): Promise<Outcome> {
  try {
    return await open.run(id);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { what: 'the experiment itself', findings: [`broken: ${text}`], figures: {} };
  }
}

const open = await part.open({ cli, dir });
process.on('message', (order: Order) => {
  if (order === 'close') void open.close().then(() => process.exit(0));
  else void run(open, order.run).then((outcome) => say({ outcome }));
});
process.once('disconnect', () => void open.close().then(() => process.exit(0)));
say({ ready: true });
