/**
 * Reads four lines from standard input (verb, target, label in base64, secret) and calls the
 * Credential Manager; prints the secret that it reads. Its exit status is 0, or 44 when there is no
 * such credential, or 1 with the number of Windows' error on standard error. Source: CredReadW,
 * CredWriteW, CredDeleteW of wincred.h; type 1 is generic, persistence 2 is this machine only.
 */
const CREDENTIAL_MANAGER = `
using System;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;

public static class EcsyncKeychain {
  const int Generic = 1;
  const int LocalMachine = 2;
  const int NotFound = 1168;

  [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
  struct Credential {
    public int Flags;
    public int Type;
    public string TargetName;
    public string Comment;
    public long LastWritten;
    public int BlobSize;
    public IntPtr Blob;
    public int Persist;
    public int AttributeCount;
    public IntPtr Attributes;
    public string TargetAlias;
    public string UserName;
  }

  [DllImport("advapi32.dll", EntryPoint = "CredReadW", CharSet = CharSet.Unicode, SetLastError = true)]
  static extern bool CredRead(string target, int type, int flags, out IntPtr credential);
  [DllImport("advapi32.dll", EntryPoint = "CredWriteW", CharSet = CharSet.Unicode, SetLastError = true)]
  static extern bool CredWrite(ref Credential credential, int flags);
  [DllImport("advapi32.dll", EntryPoint = "CredDeleteW", CharSet = CharSet.Unicode, SetLastError = true)]
  static extern bool CredDelete(string target, int type, int flags);
  [DllImport("advapi32.dll")]
  static extern void CredFree(IntPtr credential);

  static bool Read(string target) {
    IntPtr found;
    if (!CredRead(target, Generic, 0, out found)) return false;
    try {
      Credential credential = (Credential)Marshal.PtrToStructure(found, typeof(Credential));
      byte[] blob = new byte[credential.BlobSize];
      if (blob.Length > 0) Marshal.Copy(credential.Blob, blob, 0, blob.Length);
      Console.Out.Write(Convert.ToBase64String(blob));
      Console.Out.Flush();
      Array.Clear(blob, 0, blob.Length);
      return true;
    } finally {
      CredFree(found);
    }
  }

  static bool Write(string target, string label, byte[] blob) {
    IntPtr memory = Marshal.AllocHGlobal(blob.Length + 1);
    try {
      Marshal.Copy(blob, 0, memory, blob.Length);
      Credential credential = new Credential();
      credential.Type = Generic;
      credential.TargetName = target;
      credential.Comment = label.Length > 255 ? label.Substring(0, 255) : label;
      credential.UserName = "ecsync";
      credential.BlobSize = blob.Length;
      credential.Blob = memory;
      credential.Persist = LocalMachine;
      return CredWrite(ref credential, 0);
    } finally {
      for (int i = 0; i < blob.Length; i++) Marshal.WriteByte(memory, i, 0);
      Marshal.FreeHGlobal(memory);
      Array.Clear(blob, 0, blob.Length);
    }
  }

  public static int Run() {
    string verb = Console.In.ReadLine();
    string target = Console.In.ReadLine();
    string label = Encoding.UTF8.GetString(Convert.FromBase64String(Console.In.ReadLine()));
    bool done =
      verb == "read" ? Read(target)
      : verb == "write" ? Write(target, label, Convert.FromBase64String(Console.In.ReadLine()))
      : CredDelete(target, Generic, 0);
    if (done) return 0;
    int error = Marshal.GetLastWin32Error();
    if (error == NotFound) return 44;
    Console.Error.WriteLine("Windows error " + error);
    return 1;
  }
}
`;

/** For `powershell.exe -EncodedCommand`. */
export const WINDOWS_KEYCHAIN_SCRIPT = `$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Add-Type -TypeDefinition @'${CREDENTIAL_MANAGER}'@
exit [EcsyncKeychain]::Run()
`;
