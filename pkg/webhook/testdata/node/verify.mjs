// Reads [{library, key, headers, body}] and writes for each what the library says: "ok" or its error.
import { createPublicKey, verify } from 'node:crypto';
import { json } from 'node:stream/consumers';
import { Webhook as Standard } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';

const libraries = {
  standardwebhooks: (key, body, headers) => new Standard(key).verify(body, headers),
  svix: (key, body, headers) => new Svix(key).verify(body, headers),
  ed25519(key, body, headers) {
    const raw = Buffer.from(key.slice('whpk_'.length), 'base64').toString('base64url');
    const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: raw } });
    const content = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
    const right = headers['webhook-signature'].split(' ').some(
      (s) => s.startsWith('v1a,') && verify(null, content, publicKey, Buffer.from(s.slice(4), 'base64')));
    if (!right) throw new Error('No matching signature found');
  },
};

const answers = (await json(process.stdin)).map(({ library, key, headers, body }) => {
  try {
    libraries[library](key, body, headers);
    return 'ok';
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(answers));
