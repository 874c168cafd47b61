/** Makes a folder a vault that continues an existing copy, without sending it again. */
import { FileError, UsageError, type EcsyncError } from '../../errors.ts';
import { parseConf, type Conf } from '../../gocryptfs/conf/config.ts';
import type { Entry } from '../../tree/entry.ts';
import { overlap } from '../../tree/local/overlap.ts';
import { makeVault, type NewVaultKey } from '../../vault/new-vault.ts';
import { stateKey, writeState } from '../../vault/memory/state.ts';
import type { StoredConf } from '../../vault/stored-conf.ts';
import { pathKey, ROOT_PATH } from '../../bytes/paths.ts';
import type { ConfFile } from '../../view/encrypt/virtual-files.ts';
import { ComparisonCount, namesIn, strangerWarning } from './adopt-compare.ts';
import { openCopyToAdopt, readCopyConf, type CopyConf, type OpenCopy } from './adopt-copy.ts';
import { damageError, type AdoptFinding } from './adopt-finding.ts';
import { surveyCopy, type Survey } from './adopt-survey.ts';
import {
  closeLate,
  shareDestination,
  openDestination,
  type OpenDestination,
} from '../reach/destination-remote.ts';
import { destinationOptions } from '../reach/destination-options.ts';
import { interrupted, unlessAborted } from '../../interruption.ts';
import { shownInSource, type OpenVault } from '../push/opened-vault.ts';
import { push } from '../push/push.ts';
import { defaultPushSettings, type PushSettings } from '../push/source/push-settings.ts';
import {
  emptyState,
  encodeState,
  type PushState,
  type RootAttributes,
} from '../push/memory/push-state.ts';
import { structureKey } from '../push/source/structure-key.ts';
import type { AdoptSettings, AdoptKey, AdoptSurroundings } from './adopt-settings.ts';
import type { AdoptSummary, AdoptComparison } from './adopt-summary.ts';

/**
 * Adopts a copy: reads its structure, compares it with the source, repairs it on request, and makes
 * the vault in one last step. A failure or interruption before that leaves no vault.
 *
 * @throws {IntegrityError} `copy-damaged` — and no repair was requested
 * @throws {VaultError} `conf-missing`, `copy-missing`, `layout-unsupported`, `vault-not-written`,
 *   `destination-other-vault`, and every code of `parseConf`
 * @throws {UsageError} `destination-overlaps`, `destination-unsupported`
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError | FileError} the peer
 * @throws {InterruptedError} `interrupted`; what `unlock` throws
 */
export async function adopt(
  settings: AdoptSettings,
  surroundings: AdoptSurroundings,
): Promise<AdoptSummary> {
  refuseOverlappingCopy(settings);
  const { reporter, signal, questions } = surroundings;
  const note = (code: string, message: string): void => reporter.warning({ code, message });
  const reach = destinationOptions(pushSettings(settings), { note }, questions, signal);
  const opening = openDestination(settings.destination, reach);
  const opened = await unlessAborted(opening, signal, closeLate);
  const stop = (): void => void opened.remote.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) throw interrupted(signal.reason);
    return await new Adoption(settings, surroundings, opened).run();
  } catch (error) {
    throw signal.aborted ? interrupted(error) : error;
  } finally {
    signal.removeEventListener('abort', stop);
    await opened.remote.close();
  }
}

class Adoption {
  readonly #settings: AdoptSettings;
  readonly #surroundings: AdoptSurroundings;
  readonly #opened: OpenDestination;
  #root: RootAttributes | undefined;

  constructor(settings: AdoptSettings, surroundings: AdoptSurroundings, opened: OpenDestination) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#opened = opened;
  }

  async run(): Promise<AdoptSummary> {
    const { dryRun } = this.#settings;
    const copy = await this.#openCopy();
    this.#root = copy.root;
    const copyConf = await readCopyConf(copy.tree, this.#shownCopy);
    const conf = parseConf(copyConf.bytes);
    const key = await this.#surroundings.unlock(conf, copyConf.bytes);
    const survey = await this.#survey(copy, { conf, copyConf, key });
    const damage = this.#judge(survey);
    const vault = vaultToBe(this.#settings, survey, { key, copyConf });
    const comparison = await this.#compare(vault, survey);
    this.#warnOfStranger(comparison);
    const mended = dryRun ? 0 : await this.#mend(vault, survey, damage);
    const facts = { conf, copyConf, key, survey, damaged: damage.length > 0 };
    this.#surroundings.signal.throwIfAborted();
    const vaultDir = dryRun ? undefined : this.#makeVault(facts);
    const { derivation, timeShiftSec } = survey;
    return {
      ...comparison,
      ...(vaultDir !== undefined && { vaultDir }),
      derivation,
      ...(timeShiftSec !== undefined && { timeShiftSec }),
      confInSource: isConfInSource(survey, key),
      conf,
      damaged: damage.length,
      mended,
      bytesSent: comparison.bytesSent + copy.traffic().bytesSent,
      bytesReceived: comparison.bytesReceived + copy.traffic().bytesReceived,
    };
  }

  get #shownCopy(): string {
    return this.#settings.cipherDir ?? this.#settings.destination.shown;
  }

  #openCopy(): Promise<OpenCopy> {
    const { reporter, signal } = this.#surroundings;
    const warn = ({ code, message }: EcsyncError): void => reporter.warning({ code, message });
    return openCopyToAdopt(this.#settings, this.#opened, { signal, warn });
  }

  async #survey(
    copy: OpenCopy,
    { conf, copyConf, key }: { conf: Conf; copyConf: CopyConf; key: AdoptKey },
  ): Promise<Survey> {
    const { reporter, signal } = this.#surroundings;
    const { place, keepsMisplaced } = this.#settings;
    const survey = await surveyCopy<Entry>({
      keepsMisplaced,
      copy: copy.tree,
      conf,
      confBytes: copyConf.bytes,
      masterkey: key.masterkey,
      isKeyUnproven: key.isUnproven,
      namesInSource: (directory) => namesIn(place.source, directory),
      onCount: (objects) => reporter.surveyed(objects),
      signal,
    });
    copy.assertWhole();
    return survey;
  }

  /**
   * @returns the damage among the findings
   * @throws {IntegrityError} `copy-damaged`
   */
  #judge({ findings, oddTimes }: Survey): readonly AdoptFinding[] {
    const { reporter } = this.#surroundings;
    for (const finding of findings) reporter.finding(finding);
    if (oddTimes > 0) {
      const message = `${oddTimes} of the copy's diriv and .name files have times of their own; the next push sets them right`;
      reporter.warning({ code: 'virtual-times', message });
    }
    const damage = findings.filter(({ mending }) => mending !== 'none');
    if (damage.length > 0 && !this.#settings.repair) throw damageError(damage, this.#shownCopy);
    return damage;
  }

  /** Runs the next push as a dry run, which also shows that the copy exists. */
  async #compare(
    vault: OpenVault,
    { structure }: Survey,
  ): Promise<AdoptComparison & { bytesSent: number; bytesReceived: number }> {
    const settings = { ...pushSettings(this.#settings), dryRun: true };
    const known = encodeState({ ...this.#state(structure), foreignChecked: true });
    let bytesSent = 0;
    let bytesReceived = 0;
    if (this.#settings.cipherDir !== undefined) {
      // The structure was read from a local folder. Is the destination a copy of the same vault?
      const asked = await this.#push(settings, vault, { counting: this.#counting() });
      ({ bytesSent, bytesReceived } = asked);
    }
    const counting = this.#counting();
    const asked = { ...settings, delete: true };
    const summary = await this.#push(asked, vault, { counting, state: known });
    return {
      ...(await counting.result(summary, this.#settings.place.source)),
      bytesSent: bytesSent + summary.bytesSent,
      bytesReceived: bytesReceived + summary.bytesReceived,
    };
  }

  #warnOfStranger(comparison: AdoptComparison): void {
    const message = strangerWarning(comparison, this.#settings.place.source);
    if (message === undefined) return;
    this.#surroundings.reporter.warning({ code: 'stranger', message });
  }

  /** The initial state for the next push. */
  #state(structure: ReadonlySet<number>): PushState {
    return { ...emptyState(), known: new Set(structure), root: this.#root };
  }

  #counting(): ComparisonCount {
    return new ComparisonCount(this.#surroundings.reporter);
  }

  #push(
    settings: PushSettings,
    vault: OpenVault,
    run: {
      readonly counting: ComparisonCount;
      readonly state?: Uint8Array;
      readonly mend?: ReadonlySet<string>;
    },
  ): ReturnType<typeof push> {
    return push(settings, vault, {
      reporter: run.counting,
      signal: this.#surroundings.signal,
      store: { read: () => run.state, write: () => undefined },
      opened: shareDestination(this.#opened),
      ...(run.mend && { mend: run.mend }),
    });
  }

  /** @returns how many damaged files were repaired */
  async #mend(
    vault: OpenVault,
    { structure }: Survey,
    damage: readonly AdoptFinding[],
  ): Promise<number> {
    const files = damage.filter(({ mending }) => mending === 'repair');
    if (files.length === 0) return 0;
    const mend = new Set(files.map(({ cipherPath }) => pathKey(cipherPath)));
    const state = encodeState(this.#state(structure));
    const summary = await this.#push(pushSettings(this.#settings), vault, {
      counting: this.#counting(),
      state,
      mend,
    });
    if (summary.exitCode === 0) return files.length;
    throw new FileError('not-mended', 'the copy could not be mended; nothing was made', {
      hint: 'See the lines above, mend the cause, and adopt again.',
    });
  }

  #makeVault(facts: {
    readonly conf: Conf;
    readonly copyConf: CopyConf;
    readonly key: AdoptKey;
    readonly survey: Survey;
    readonly damaged: boolean;
  }): string {
    const { place, name, destination } = this.#settings;
    const { survey, damaged } = facts;
    const remote = { name, url: destination.shown };
    const vaultDir = makeVault(place, newVaultKey(facts, remote));
    const state = { ...this.#state(survey.structure), foreignChecked: damaged };
    // Makes the next push start like a first one, with the temporary directory.
    state.known.delete(structureKey(ROOT_PATH));
    const dirIV = survey.index?.dirIV(ROOT_PATH);
    state.rootIV = dirIV && Buffer.from(dirIV).toString('hex');
    try {
      writeState(vaultDir, stateKey(destination.shown), encodeState(state));
    } catch (error) {
      // This is a cache. Without it the next push only takes longer.
      if (!(error instanceof FileError)) throw error;
      this.#surroundings.reporter.warning({ code: error.code, message: error.message });
    }
    return vaultDir;
  }
}

function isConfInSource({ derivation }: Survey, { reverseConf }: AdoptKey): boolean {
  return derivation === 'reverse' && reverseConf !== undefined;
}

function newVaultKey(
  facts: {
    readonly conf: Conf;
    readonly copyConf: CopyConf;
    readonly key: AdoptKey;
    readonly survey: Survey;
  },
  remote: { readonly name: string; readonly url: string },
): NewVaultKey {
  const { conf, copyConf, key, survey } = facts;
  const { timeShiftSec, index } = survey;
  const confInSource = isConfInSource(survey, key);
  const confBytes = confInSource ? key.reverseConf?.bytes : undefined;
  return {
    conf,
    confBytes: confBytes ?? copyConf.bytes,
    masterkey: key.masterkey,
    ...(timeShiftSec !== undefined && { reverse: { timeShiftSec, confInSource } }),
    continues: {
      remote,
      confMtimeSec: copyConf.mtimeSec,
      ...(index && { index: index.encode() }),
    },
  };
}

/** The future vault. */
function vaultToBe(
  { place, vaultDir }: AdoptSettings,
  { derivation, timeShiftSec, index }: Survey,
  { key, copyConf }: { readonly key: AdoptKey; readonly copyConf: CopyConf },
): OpenVault {
  return {
    source: place.source,
    vaultDir,
    conf: confFileOf(derivation === 'reverse' ? key.reverseConf : undefined, copyConf),
    masterkey: key.masterkey,
    derivation,
    virtualTimes: timeShiftSec === undefined ? 'fixed' : { shiftSec: timeShiftSec },
    ...(index && { inherited: index }),
  };
}

function confFileOf(inSource: StoredConf | undefined, { bytes, mtimeSec }: CopyConf): ConfFile {
  return inSource === undefined ? { bytes, mtimeSec } : shownInSource(inSource);
}

function pushSettings(settings: AdoptSettings): PushSettings {
  const { place, vaultDir, destination, rsh, rsyncPath } = settings;
  return {
    ...defaultPushSettings({ source: place.source, vaultDir }, destination),
    numericIds: settings.numericIds,
    timeoutSec: settings.timeoutSec,
    ...(rsh !== undefined && { rsh }),
    ...(rsyncPath !== undefined && { rsyncPath }),
    acceptNewHostKey: settings.acceptNewHostKey,
    protocolMax: settings.protocolMax,
  };
}

/** @throws {UsageError} `destination-overlaps` */
function refuseOverlappingCopy({ place, destination, cipherDir }: AdoptSettings): void {
  const folders = [
    ...(destination.kind === 'local' ? [destination.path] : []),
    ...(cipherDir === undefined ? [] : [cipherDir]),
  ];
  for (const folder of folders) {
    const how = overlap(folder, place.source);
    if (how === undefined) continue;
    throw new UsageError(
      'destination-overlaps',
      `${folder} ${how} ${place.source}, the folder that is to be the vault`,
      { hint: 'The encrypted copy and the folder of plaintext must be apart.' },
    );
  }
}
