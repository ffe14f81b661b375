// @ts-check
// Runs npm in a sandbox without a network: `npm.mjs SOCKET COMMAND…`. Forwards a port on the sandbox's loopback to the socket of the
// server's proxy (Packages/RegistryProxy.cs).
import net from 'node:net';
import { spawn } from 'node:child_process';

const [socket, command, ...rest] = process.argv.slice(2);
const server = net.createServer({ allowHalfOpen: true }, client => {
  const proxy = net.connect({ path: socket, allowHalfOpen: true });
  for (const [from, to] of [[client, proxy], [proxy, client]]) {
    from.pipe(to);
    from.on('error', () => to.destroy());
  }
});
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {net.AddressInfo} */ (server.address()), url = `http://127.0.0.1:${port}`;
  const env = { ...process.env, HTTP_PROXY: url, HTTPS_PROXY: url, npm_config_proxy: url, npm_config_https_proxy: url };
  spawn(command, rest, { stdio: 'inherit', env }).on('exit', code => process.exit(code ?? 1));
});
