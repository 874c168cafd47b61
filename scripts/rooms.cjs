/**
 * The rooms of src/, from the bottom up, and what each may import: rooms above it in this table, and
 * the files that lie in src/ itself. `tree/*` is every room of tree. A new arrow is one word in one line here;
 * an arrow that would point back says that a file stands in the wrong room.
 */
module.exports = {
  bytes: '',
  'gocryptfs/format': '',
  'gocryptfs/cipher': 'gocryptfs/format',
  'gocryptfs/conf': 'gocryptfs/format gocryptfs/cipher',
  'gocryptfs/content': 'bytes gocryptfs/format gocryptfs/cipher',
  'gocryptfs/names': 'gocryptfs/format gocryptfs/cipher gocryptfs/content',
  gocryptfs: 'gocryptfs/format gocryptfs/cipher gocryptfs/conf gocryptfs/content gocryptfs/names',
  tree: 'bytes',
  'tree/filter': 'bytes',
  'tree/local': 'bytes tree tree/filter',
  'tree/target': 'bytes tree tree/local',
  view: 'bytes gocryptfs/* tree/*',
  'view/encrypt': 'bytes gocryptfs/* tree/* view',
  'view/decrypt': 'bytes gocryptfs/* tree/* view view/encrypt',
  'view/mirror': 'bytes gocryptfs/* tree/* view view/encrypt',
  seal: 'bytes gocryptfs/cipher tree',
  'rsync/wire': 'bytes tree/*',
  'rsync/flist': 'bytes tree/* rsync/wire',
  'rsync/delta': 'bytes rsync/wire',
  'rsync/send': 'bytes tree/* rsync/wire rsync/flist rsync/delta',
  'rsync/receive': 'bytes tree/* rsync/wire rsync/flist',
  'rsync/outcome': 'rsync/wire rsync/send rsync/receive',
  transport: 'bytes',
  'transport/ssh/config': 'transport',
  'transport/ssh': 'bytes transport transport/ssh/config',
  'transport/daemon': 'transport',
  'transport/sftp': 'bytes transport',
  'transport/programs': 'transport',
  options: 'tree/filter tree/local transport',
  'vault/files': 'gocryptfs/names',
  'vault/lock': 'vault/files',
  'vault/config': 'gocryptfs/* options vault/files',
  vault: 'gocryptfs/* tree/local vault/files vault/lock vault/config',
  'vault/password': 'bytes vault/files vault/config vault',
  'vault/user': 'vault/files vault/config vault vault/password',
  'vault/destination': 'vault/config vault',
  'vault/memory': 'vault/files vault/lock',
  schedule: '',
  sync: 'options',
  'sync/reach': 'gocryptfs/* tree/* vault/* rsync/* transport/* sync',
  'sync/copy': 'bytes gocryptfs/* tree/* view/* rsync/* transport/* sync sync/reach',
  'sync/push/source': 'bytes options tree/* vault/* view/* transport/* sync',
  'sync/push/memory': 'bytes gocryptfs/* tree/* vault/* view/* rsync/* sync/copy sync/push/source',
  'sync/push/job':
    'bytes gocryptfs/* tree/* vault/* view/* rsync/* transport/* sync sync/reach sync/push/source sync/push/memory',
  'sync/push/guards':
    'bytes gocryptfs/* options tree/* vault/* view/* rsync/* sync/copy sync/push/source sync/push/memory sync/push/job',
  'sync/push/runs':
    'bytes gocryptfs/* tree/* view/* rsync/* sync/push/source sync/push/memory sync/push/job sync/push/guards',
  'sync/push':
    'bytes gocryptfs/* tree/* vault/* view/* rsync/* transport/* sync sync/reach sync/push/source sync/push/memory sync/push/job sync/push/guards sync/push/runs',
  'sync/browse':
    'bytes gocryptfs/* tree/* vault/* view/* rsync/* sync sync/reach sync/copy sync/push/job',
  'sync/check':
    'bytes gocryptfs/* tree/* view/* sync sync/copy sync/push/source sync/push/memory sync/push/job sync/push/guards sync/push/runs sync/push',
  'sync/restore':
    'bytes gocryptfs/* tree/* vault/* view/* rsync/* transport/* sync sync/reach sync/copy sync/push/source sync/push/memory sync/push/job',
  'sync/adopt':
    'bytes gocryptfs/* tree/* vault/* view/* sync sync/reach sync/copy sync/push/source sync/push/memory sync/push/guards sync/push sync/restore',
  'library/settings': 'gocryptfs/* options tree/* vault/* transport/* sync/*',
  library: 'gocryptfs/* options tree/* vault/* view/* transport/* sync/* library/settings',
  'library/face':
    'bytes gocryptfs/* options tree/* vault/* view/* transport/* sync/* library library/settings',
  'cli/terminal': 'vault/* sync/* library/*',
  'cli/frame': 'bytes options tree/* vault/* view/* transport/* sync/* library/* cli/terminal',
  'cli/settings':
    'gocryptfs/* options tree/* vault/* transport/* schedule sync/* library/* cli/frame',
  'cli/secrets': 'gocryptfs/* vault/* library/* cli/terminal cli/frame cli/settings',
  'cli/copies':
    'bytes gocryptfs/* options tree/* vault/* view/* transport/* sync/* library/* cli/terminal cli/frame cli/settings cli/secrets',
  'cli/push':
    'options tree/* vault/* sync/* library/* cli/terminal cli/frame cli/settings cli/secrets',
  'cli/schedule': 'options vault/* schedule library/* cli/terminal cli/frame cli/settings cli/push',
  'cli/status':
    'options vault/* schedule sync/* library/* cli/terminal cli/frame cli/push cli/schedule',
  'cli/check':
    'options vault/* view/* sync/* library/* cli/terminal cli/frame cli/settings cli/copies cli/push cli/schedule cli/status',
  'cli/keys':
    'gocryptfs/* options vault/* sync/* library/* cli/terminal cli/frame cli/secrets cli/copies',
  'cli/vault':
    'gocryptfs/* options tree/* vault/* view/* transport/* sync/* library/* cli/terminal cli/frame cli/settings cli/secrets cli/copies cli/check cli/keys',
  'cli/help': 'options library/* cli/frame cli/settings',
  cli: 'library/* cli/terminal cli/frame cli/copies cli/push cli/schedule cli/status cli/check cli/keys cli/vault cli/help',
};
