// An OpenID Connect server with oidc-provider: node server.mjs REDIRECT_URI. It prints its address when it listens.
// Whoever types a name signs in as that name at example.com; only "unverified" has an address that is not verified.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const server = createServer((request, response) => provider.callback()(request, response));
let provider;

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, {
    clients: [{
      client_id: 'keyturn', client_secret: process.env.CLIENT_SECRET, redirect_uris: [process.argv[2]],
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    features: { devInteractions: { enabled: true } },
    pkce: { required: () => true },
    cookies: { keys: ['a key for tests on loopback'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: id !== 'unverified' }),
    }),
  });
  console.log(issuer);
});
