/** `--log-file`: what a run says, line by line with its time, in a file that grows. */
import fs from 'node:fs';
import path from 'node:path';
import { EcsyncError, FileError } from '../errors.ts';
import { errnoOf } from '../platform.ts';
import { pathFrom } from '../vault/password.ts';
import { readUserConfig, userConfigFile } from '../vault/user-config.ts';
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';
import { openVaultFrameOf } from './place.ts';
import type { Warnings } from './report.ts';
import { shownText } from './terminal.ts';

const VARIABLE = 'ECSYNC_LOG_FILE';
/** It holds names of files. */
const MODE = 0o600;
const { O_WRONLY, O_APPEND, O_CREAT } = fs.constants;
/** A pipe must not make anybody wait; absent on Windows. */
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | (fs.constants.O_NONBLOCK || 0);

/**
 * From here on all that the run says goes into a file, too, when the command line, `ECSYNC_LOG_FILE`, or
 * `log_file` in the configuration of the vault or of the user names one. A file that cannot be written is a warning.
 */
export function startLog(host: Host, warnings: Warnings, options: CommonOptions): void {
  const file = logFileOf(host, options);
  if (file === undefined) return;
  const fail = (error: unknown): void => {
    host.out.logTo(undefined);
    const reason = errnoOf(error) || (error instanceof Error ? error.message : String(error));
    const message = `this run is not logged: cannot write ${file}: ${reason}`;
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

function openLog(file: string): number {
  const fd = fs.openSync(file, FLAGS, MODE);
  if (fs.fstatSync(fd).isFile()) return fd;
  fs.closeSync(fd);
  throw new FileError('log-not-written', 'it is not a file');
}

/** Absolute path; undefined: nothing is logged. */
function logFileOf(host: Host, options: CommonOptions): string | undefined {
  const told = options.logFile ?? host.environment[VARIABLE];
  if (told !== undefined) return told === '' ? undefined : path.resolve(host.folder, told);
  return ofVault(host, options) ?? ofUser(host);
}

/** What is wrong with a configuration is told by the command that needs it. */
function ofVault(host: Host, options: CommonOptions): string | undefined {
  return orNothing(() => {
    const { config, vaultDir } = openVaultFrameOf(host, options);
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
