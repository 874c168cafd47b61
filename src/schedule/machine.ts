/** The output of a program, and how it ended. */
export interface ProgramResult {
  /** Exit status; undefined: there is no such program. A program ended by a signal has -1. */
  readonly status: number | undefined;
  /** Bytes as latin1, without loss. */
  readonly stdout: string;
  /** UTF-8. */
  readonly stderr: string;
}

/** The parts of this machine that installing jobs needs. Paths are absolute. */
export interface Machine {
  /** Home folder. */
  readonly home: string;
  /** `XDG_CONFIG_HOME`, or its default. */
  readonly configFolder: string;
  /** Numeric user id; 0 where there is none. */
  readonly uid: number;
  /** Names of the running programs of all users; undefined where they cannot be listed. */
  programsRunning(): readonly string[] | undefined;
  /** Runs a program of the system to its end. Messages are not translated. */
  run(program: string, words: readonly string[], input?: string): Promise<ProgramResult>;
  /** @returns undefined when there is no such file */
  read(file: string): Buffer | undefined;
  /** Replaces a file in one step, creating its folders. */
  write(file: string, content: Uint8Array | string): void;
  makeFolder(folder: string): void;
  /** @returns whether the file existed */
  remove(file: string): boolean;
  /** Calls `work` with a temporary file. */
  withTemporary<T>(content: Uint8Array, work: (file: string) => Promise<T>): Promise<T>;
}
