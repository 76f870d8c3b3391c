// An OpenID provider for tests, on 127.0.0.1. Its one argument is JSON: port, client {id, secret, redirect}, accounts
// [{login, email, verified}]. It writes a line when it listens, and ends with its standard input.
import { createServer } from 'node:http'
import { once } from 'node:events'
import Provider from 'oidc-provider'

const { port, client, accounts } = JSON.parse(process.argv[2])
const issuer = `http://127.0.0.1:${port}`
const provider = new Provider(issuer, {
  clients: [{ client_id: client.id, client_secret: client.secret, redirect_uris: [client.redirect] }],
  claims: { email: ['email', 'email_verified'] },
  features: { claimsParameter: { enabled: true } },
  findAccount(ctx, login) {
    const account = accounts.find((a) => a.login === login)
    return account && {
      accountId: login,
      claims: () => ({ sub: login, email: account.email, email_verified: account.verified }),
    }
  },
})
const server = createServer(provider.callback())
server.listen(port, '127.0.0.1')
await once(server, 'listening')
process.stdout.write(`${issuer}\n`)
process.stdin.resume().on('end', () => process.exit(0))
