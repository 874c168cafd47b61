/** The options and questions of a login with the built-in ssh. */

/** An unknown host, as shown to a person. */
export interface UnknownHost {
  readonly name: string;
  readonly keyType: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** The options of a login with the built-in ssh. */
export interface SshOptions {
  /** Record an unknown host, but never one whose key has changed. */
  readonly acceptNewHostKey: boolean;
  /** Limit for connecting, key exchange and login together; time for questions does not count. */
  readonly connectTimeoutMs: number;
  /** Read instead of `~/.ssh/config` and `/etc/ssh/ssh_config`; `none` means no file at all. */
  readonly configFile?: string;
  /** Default: the user's home folder. */
  readonly homeDir?: string;
  /**
   * Asks for the passphrase of a key file; undefined skips the key. Absent if nobody can be asked.
   */
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  /** Asks the server's question, usually for a password; undefined gives up on this method. */
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  /**
   * Asks whether to trust and record an unknown host. Absent: nobody can be asked, and it is
   * refused.
   */
  readonly askHostKey?: (shown: UnknownHost) => Promise<boolean>;
  /** Ends a login under way, with its reason as the error. */
  readonly signal?: AbortSignal;
  /** Called with notices worth a line, such as that a host key was recorded. */
  readonly onNotice?: (text: string) => void;
  /** Called with details for diagnosis. */
  readonly onDetail?: (text: string) => void;
}
