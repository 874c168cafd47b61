// Stands in for a remote shell: hands the words after the host name, and both streams, to a test's
// own server behind a socket. Usage: relay.mjs SOCKET HOST WORD…
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [socketPath, , ...words] = process.argv.slice(2);
const statusPath = `${socketPath}.${process.pid}`;
const socket = connect({ path: socketPath, allowHalfOpen: true });
socket.write(`${JSON.stringify({ words, statusPath })}\n`);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
for (const stream of [socket, process.stdin, process.stdout]) stream.on('error', () => undefined);
// The status comes after the last byte of the stream.
socket.once('end', () => {
  const timer = setInterval(() => {
    if (!existsSync(statusPath)) return;
    clearInterval(timer);
    const { code, stderr } = JSON.parse(readFileSync(statusPath, 'utf8'));
    process.stdout.write('', () => process.stderr.write(stderr, () => process.exit(code)));
  }, 3);
});
