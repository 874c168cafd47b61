/** A host seen for the first time, in words. */
export interface UnknownHost {
  readonly name: string;
  readonly keyType: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** How to log in with the built-in ssh. */
export interface SshOptions {
  /** Record a host seen for the first time; never one whose key changed. */
  readonly acceptNewHostKey: boolean;
  /** For connecting, key exchange and login together; time spent on a question does not count. */
  readonly connectTimeoutMs: number;
  /** Used instead of `~/.ssh/config` and `/etc/ssh/ssh_config`; `none` reads no file at all. */
  readonly configFile?: string;
  /** Default: the user's home folder. */
  readonly homeDir?: string;
  /** Asks for the passphrase of a key file; undefined: skip this key. Absent: nobody can be asked. */
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  /** Asks what the server wants to know, usually a password; undefined: give up this way. */
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  /**
   * Whether an unknown host is to be trusted and recorded. Absent: nobody can be asked, and it is not.
   */
  readonly askHostKey?: (shown: UnknownHost) => Promise<boolean>;
  /** Told things worth a line, e.g. that a host key was recorded. */
  readonly onNotice?: (text: string) => void;
  /** Told what only somebody who looks into it wants to know. */
  readonly onDetail?: (text: string) => void;
}
