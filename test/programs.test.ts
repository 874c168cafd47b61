import { expect, it } from 'vitest';
import { absoluteFolders, programFile, windowsCandidates, windowsFolder } from '../src/programs.ts';

// Programs that are named without a folder, on Windows; test/e2e/windows.test.ts starts one.

const SYSTEM32 = 'C:\\Windows\\System32';

it('programs of Windows are those in its folder, whatever PATH says', () => {
  const environment = { Path: 'D:\\evil', SystemRoot: 'E:\\Win' };
  const powershell = 'E:\\Win\\System32\\WindowsPowerShell\\v1.0\\powershell.exe';
  for (const name of ['powershell', 'powershell.exe', 'PowerShell.EXE']) {
    expect(windowsCandidates(name, environment)).toEqual([powershell]);
  }
  expect(windowsCandidates('schtasks', environment)).toEqual(['E:\\Win\\System32\\schtasks.exe']);
});

it('the folder of Windows is an absolute one', () => {
  expect(windowsFolder({ systemroot: 'D:\\W' })).toBe('D:\\W');
  for (const SystemRoot of [undefined, '', '.', 'W', '\\W', 'D:W']) {
    expect(windowsFolder({ SystemRoot })).toBe('C:\\Windows');
  }
});

it('others are looked for in absolute folders alone, in their order, with what can be started', () => {
  const environment = { PATH: '.;;bin;\\bin;C:bin;"C:\\a b";\\\\server\\share;..\\x' };
  expect(windowsCandidates('rsync', environment)).toEqual([
    ...['C:\\a b\\rsync.com', 'C:\\a b\\rsync.exe'],
    ...['\\\\server\\share\\rsync.com', '\\\\server\\share\\rsync.exe'],
    ...[`${SYSTEM32}\\rsync.com`, `${SYSTEM32}\\rsync.exe`],
  ]);
  expect(windowsCandidates('rsync.exe', { PATH: 'C:\\a' })[0]).toBe('C:\\a\\rsync.exe');
  expect(absoluteFolders({ PATH: '.::/usr/bin:bin:/bin' }, 'linux')).toEqual(['/usr/bin', '/bin']);
});

it('a name with a folder is what it says', () => {
  for (const name of ['C:\\x\\y.exe', '.\\y', 'sub/y', 'C:y']) {
    expect(windowsCandidates(name, { PATH: 'C:\\a' })).toEqual([name]);
  }
});

it('elsewhere the system looks for programs', () => {
  expect(programFile('rsync')).toBe('rsync');
});
