/** Named sets of filter rules. */
import { plainRule, type FilterRule } from './filter.ts';

/** Names that no copy needs, by the name of their preset. */
const PRESETS: Readonly<Record<string, readonly string[]>> = {
  // Files that macOS, Windows and Linux desktops put into folders for their own use.
  os: [
    ...['.DS_Store', '.Spotlight-V100/', '.fseventsd/', '.Trashes/', '.TemporaryItems/'],
    ...['.DocumentRevisions-V100/', '.com.apple.timemachine.donotpresent', '.apdisk'],
    ...['Thumbs.db', 'ehthumbs.db', '$RECYCLE.BIN/', 'System Volume Information/'],
    ...['/pagefile.sys', '/hiberfil.sys', '/swapfile.sys', '/DumpStack.log.tmp'],
    ...['.Trash-[0-9]*/', '.gvfs/', '.nfs[0-9a-f]*', '/lost+found/', '.~lock.*#'],
  ],
  // Files that development tools recreate by themselves.
  'dev-caches': [
    ...['node_modules/', 'bower_components/', '.npm/', '.yarn/cache/', '.pnpm-store/'],
    ...['.parcel-cache/', '.next/cache/', '.turbo/', '.eslintcache'],
    ...[
      '__pycache__/',
      '*.pyc',
      '.pytest_cache/',
      '.mypy_cache/',
      '.ruff_cache/',
      '.tox/',
      '.nox/',
    ],
    ...['.gradle/', '.ccache/', '.sccache/', '.terraform/', '.cargo/registry/', '.go/pkg/mod/'],
  ],
};

/** The names of all presets. */
export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/** The rules of a preset; undefined when there is no preset of that name. */
export function presetRules(name: string): readonly FilterRule[] | undefined {
  if (!Object.hasOwn(PRESETS, name)) return undefined;
  return PRESETS[name]?.map((pattern) => plainRule('exclude', Buffer.from(pattern)));
}
