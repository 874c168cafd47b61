/** `--log-file`: appends the messages of a run to a file, each line with its time. */
import fs from 'node:fs';
import path from 'node:path';
import { EcsyncError, FileError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { foreignWriters } from '../../vault/files/ownership.ts';
import { pathFrom } from '../../vault/password/password.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import { VAULT_DIR_NAME } from '../../vault/vault.ts';
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';
import { readVaultFrameOf } from './place.ts';
import type { Warnings } from './report.ts';
import { shownText } from '../terminal/terminal.ts';
import { realPath } from './vault-paths.ts';

const VARIABLE = 'ECSYNC_LOG_FILE';
/** The log contains file names. */
const MODE = 0o600;
const { O_WRONLY, O_APPEND, O_CREAT } = fs.constants;
/** Opening a pipe must not block. Absent on Windows. */
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | (fs.constants.O_NONBLOCK || 0);

/**
 * Starts copying standard error to a log file, if the command line, `ECSYNC_LOG_FILE`, or
 * `log_file` in the configuration of the vault or of the user names one. If the file cannot be
 * written, can be written by others, or is one of the vault's own files, this is a warning, and
 * nothing is logged.
 */
export function startLog(host: Host, warnings: Warnings, options: CommonOptions): void {
  const file = logFileOf(host, options);
  if (file === undefined) return;
  const fail = (error: unknown): void => {
    host.out.logTo(undefined);
    const message = `this run is not logged: cannot write ${file}: ${reasonOf(error)}; name a file of yours in a folder that you may write to`;
    warnings.add({ code: 'log-not-written', message });
  };
  try {
    const fd = openLog(file);
    host.out.logTo((line) => {
      try {
        fs.writeSync(fd, `${new Date().toISOString()} [${process.pid}] ${shownText(line)}\n`);
      } catch (error) {
        fail(error);
      }
    });
  } catch (error) {
    fail(error);
  }
}

/** @throws {FileError} `log-not-written` */
function openLog(file: string): number {
  const folder = realPath(path.dirname(realPath(file)));
  if (folder.split(path.sep).includes(VAULT_DIR_NAME) && !file.endsWith('.log')) {
    throw notWritten(`in a folder ${VAULT_DIR_NAME} the name has to end in .log`);
  }
  const fd = fs.openSync(file, FLAGS, MODE);
  const reason = objectionTo(fs.fstatSync(fd));
  if (reason === undefined) return fd;
  fs.closeSync(fd);
  throw notWritten(`it ${reason}`);
}

/** Why a file cannot be a log, as the end of a sentence about it. */
function objectionTo(stats: fs.Stats): string | undefined {
  return stats.isFile() ? foreignWriters(stats) : 'is not a file';
}

function notWritten(reason: string): FileError {
  return new FileError('log-not-written', reason);
}

/** Absolute path. Undefined: nothing is logged. */
function logFileOf(host: Host, options: CommonOptions): string | undefined {
  const told = options.logFile ?? host.environment[VARIABLE];
  if (told !== undefined) return told === '' ? undefined : path.resolve(host.folder, told);
  return ofVault(host, options) ?? ofUser(host);
}

/** Ignores errors in the configuration, which the command reports if it needs it. */
function ofVault(host: Host, options: CommonOptions): string | undefined {
  return orNothing(() => {
    const { config, vaultDir } = readVaultFrameOf(host, options);
    return config.log_file === undefined ? undefined : pathFrom(vaultDir, config.log_file);
  });
}

function ofUser({ environment, platform }: Host): string | undefined {
  const file = userConfigFile(environment, platform);
  return orNothing(() => {
    const { log_file: told } = readUserConfig(file);
    return told === undefined ? undefined : pathFrom(path.dirname(file), told);
  });
}

function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof EcsyncError) return undefined;
    throw error;
  }
}
