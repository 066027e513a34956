// panva/oidc-provider over TLS, as its own readme shows it. usage: node provider.mjs SETTINGS.json
// Its people and what is said of them stand in settings.people, read anew at each sign-in.
import fs from 'node:fs';
import https from 'node:https';
import { Provider } from 'oidc-provider';

const file = process.argv[2];
const settings = () => JSON.parse(fs.readFileSync(file));
const s = settings();
const provider = new Provider(s.issuer, {
  clients: s.clients,
  jwks: { keys: s.keys },
  cookies: { keys: ['a key of the tests'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  conformIdTokenClaims: false,
  enabledJWA: {
    idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'],
  },
  features: { devInteractions: { enabled: true }, clientCredentials: { enabled: true } },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...settings().people[id] }) }),
});
https.createServer({ cert: fs.readFileSync(s.cert), key: fs.readFileSync(s.key) }, provider.callback())
  .listen(s.port, '127.0.0.1', () => console.log('ready'));
