/**
 * Judges the new address of a remote: refuses unusable ones, and reports what the next push will
 * do.
 */
import { FileError, UsageError } from '../../errors.ts';
import { pushMemory } from '../../sync/push/memory/vault-memory.ts';
import { hasOtherConf } from '../../library/copy-place.ts';
import { refuseOverlap } from '../../tree/local/overlap.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { overlappingRemote, remotesAt } from '../../vault/destination/remote-destination.ts';
import type { Host } from '../frame/host.ts';
import type { Warnings } from '../frame/report.ts';
import { shownText } from '../terminal/terminal.ts';

/** An address, and its remote. */
export interface Address {
  readonly vault: VaultFrame;
  /** Name of the remote. */
  readonly name: string;
  readonly destination: Destination;
  readonly isEncrypted: boolean;
}

/**
 * Refuses an address that can never be pushed to, and warns of a local folder that the next push
 * would refuse.
 *
 * @throws {UsageError} `destination-overlaps`, `remote-other-form`
 */
export async function judgeAddress(
  { platform }: Host,
  warnings: Warnings,
  address: Address,
): Promise<void> {
  const { vault, destination } = address;
  refuseOverlap(vault.source, destination);
  refuseOtherForm(address, platform);
  refuseOverlappingRemote(address, platform);
  const obstacle = await obstacleAt(address);
  if (obstacle !== undefined) {
    const message = `${destination.shown} ${obstacle}`;
    warnings.add({ code: 'destination-unsuitable', message });
  }
}

/**
 * One folder cannot be an encrypted copy and a plain mirror.
 *
 * @throws {UsageError} `remote-other-form`
 */
function refuseOtherForm(address: Address, platform: NodeJS.Platform): void {
  const { vault, name, destination, isEncrypted } = address;
  const { shown } = destination;
  const other = remotesAt(vault, shown, platform).find(
    (remote) => remote.name !== name && (remote.encrypt ?? true) !== isEncrypted,
  );
  if (other === undefined) return;
  const form = isEncrypted ? 'a plain mirror' : 'an encrypted copy';
  throw new UsageError('remote-other-form', `${shown} is ${form} already, as '${other.name}'`, {
    hint: 'One folder cannot be both an encrypted copy and a plain mirror: take another folder.',
  });
}

/**
 * One copy inside another one would be damage to it, and go with a push of it.
 *
 * @throws {UsageError} `destination-overlaps`
 */
function refuseOverlappingRemote(address: Address, platform: NodeJS.Platform): void {
  const other = overlappingRemote(address.vault, address, platform);
  if (other === undefined) return;
  throw new UsageError(
    'destination-overlaps',
    `${address.destination.shown} ${other.how} the folder of the remote '${other.name}'`,
    { hint: 'A copy must not be inside another one: take another folder.' },
  );
}

/** Why a push would refuse the content of a local folder, as the end of a sentence. */
async function obstacleAt(address: Address): Promise<string | undefined> {
  const { destination, isEncrypted } = address;
  if (destination.kind !== 'local') return undefined;
  if (await holdsCopy(destination.path, { isEncrypted: !isEncrypted })) {
    return isEncrypted
      ? 'holds a plain mirror: a push of an encrypted copy into it is refused'
      : 'holds an encrypted copy: a push of a plain mirror into it is refused';
  }
  if (!isEncrypted || !(await holdsCopy(destination.path, { isEncrypted }))) return undefined;
  if (!isConfForeign(address)) return undefined;
  return "holds a gocryptfs.conf that is not this vault's: a push into it is refused, unless it is from before a change of the password";
}

/** An unreadable conf counts as not foreign. The push reports why it cannot be read. */
function isConfForeign({ vault, destination }: Address): boolean {
  try {
    return hasOtherConf(destination, vault);
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}

/** Whether a local folder has a file that identifies a copy. */
async function holdsCopy(
  folder: string,
  { isEncrypted }: Pick<Address, 'isEncrypted'>,
): Promise<boolean> {
  const { hasRootFile } = await import('../../sync/copy/root-file-names.ts');
  return hasRootFile(folder, [isEncrypted ? 'conf' : 'mirror']);
}

/**
 * Reports what the next push does with a remote that got another address. The memory of the old
 * address is not used for the new one.
 */
export async function reportMove(
  { out }: Host,
  warnings: Warnings,
  { vault, name, destination, isEncrypted }: Address,
  { shown: oldShown }: Pick<Destination, 'shown'>,
): Promise<void> {
  const form = isEncrypted ? 'encrypted' : 'mirror';
  const wasPushedTo = pushMemory(vault, { shown: oldShown }, form).store.read() !== undefined;
  const { shown } = destination;
  const isLocal = destination.kind === 'local';
  if (wasPushedTo && isLocal && !(await holdsCopy(destination.path, { isEncrypted }))) {
    warnings.add({
      code: 'no-copy-yet',
      message: `${shown} holds no copy yet: the next push makes a new one there. To go on with the copy in ${oldShown}, move it there before`,
    });
    return;
  }
  out.note(
    shownText(
      `${name} is ${shown} from now on. The next push looks at it as at a new destination: it goes on with a copy of this vault, or begins one in an empty folder.`,
    ),
  );
}
