import assert from 'node:assert/strict'
import http from 'node:http'
import { after, before, beforeEach, test } from 'node:test'

import { authorize, Decisions, methodAction, NotExpressible, Undecided } from './index.js'

// A decision service that answers as a test wants, and an API before it.
let service, api, said, asked, heard
const audience = 'https://api.example.com'

const listen = (handler) => new Promise((resolve) => {
  const s = http.createServer(handler)
  s.listen(0, '127.0.0.1', () => resolve(s))
})
const at = (s) => `http://127.0.0.1:${s.address().port}`
const token = (claims = {}) => ['e30', Buffer.from(JSON.stringify({ sub: 'usr_1', aud: audience, exp: Date.now() / 1000 + 60, ...claims })).toString('base64url'), 'sig'].join('.')
const client = (more = {}) => new Decisions({ issuer: at(service) + '/realms/acme/', credentials: { id: 'shop', secret: 'a:b c' }, timeout: 500, ...more })

before(async () => {
  service = await listen(async (req, res) => {
    let body = ''
    for await (const part of req) body += part
    asked.push({ path: req.url, headers: req.headers, body: JSON.parse(body) })
    if (said.hang) return
    res.writeHead(said.status ?? 200, { 'Content-Type': 'application/json', ...said.headers })
    res.end(said.text ?? JSON.stringify(said.answer))
  })
  api = await listen((req, res) => {
    const may = authorize({ decisions: client(), audience, resourceMetadata: audience + '/meta', onError: (e) => heard.push(e),
      about: (r) => r.url === '/nothing' ? undefined : { resource: { type: 'order', id: r.url.slice(1) }, context: { ip: '::1' } } })
    may(req, res, () => res.end('done ' + req.decision.id))
  })
})
after(() => { service.closeAllConnections(); service.close(); api.close() })
beforeEach(() => { said = { answer: { decision: true, context: { id: 'dec_1', revision: '1.7' } } }; asked = []; heard = [] })

const call = async (headers = { Authorization: 'Bearer ' + token() }, path = '/7', method = 'GET') => {
  const r = await fetch(at(api) + path, { method, headers })
  return { status: r.status, body: await r.text(), challenge: r.headers.get('www-authenticate') ?? '', headers: r.headers }
}

test('a yes goes on, and the question is the request', async () => {
  const r = await call()
  assert.deepEqual([r.status, r.body], [200, 'done dec_1'])
  assert.equal(asked[0].path, '/realms/acme/access/v1/evaluation')
  assert.equal(asked[0].headers.authorization, 'Basic ' + Buffer.from('shop:a%3Ab+c').toString('base64'))
  assert.deepEqual({ ...asked[0].body, context: { ...asked[0].body.context, access_token: 'x' } },
    { subject: { type: 'user', id: 'usr_1' }, action: { name: 'read' }, resource: { type: 'order', id: '7' }, context: { ip: '::1', access_token: 'x' } })
  await call(undefined, '/7', 'DELETE')
  assert.equal(asked[1].body.action.name, 'delete')
  await call({ Authorization: 'Bearer ' + token({ sub: 'svc_2' }) })
  assert.equal(asked[2].body.subject.type, 'service')
})

test('a no is 403, whatever surrounds it', async () => {
  for (const answer of [{ decision: false }, {}, { decision: 'true' }, { decision: 1 }, { decision: null, context: { step_up: {} } }]) {
    said = { answer }
    const r = await call()
    assert.equal(r.status, 403, JSON.stringify(answer))
    assert.equal(r.headers.get('cache-control'), 'no-store')
  }
  assert.equal((await call(undefined, '/nothing')).status, 403)
})

test('not yet is the challenge of RFC 9470', async () => {
  said = { answer: { decision: false, context: { step_up: { acr_values: 'aal2 "x"\r\nSet-Cookie: a', max_age: 300 } } } }
  const r = await call()
  assert.equal(r.status, 401)
  assert.equal(r.headers.get('set-cookie'), null)
  assert.match(r.challenge, /^Bearer realm="https:\/\/api\.example\.com", error="insufficient_user_authentication", error_description="[^"]+", acr_values="aal2 \\"x\\"Set-Cookie: a", max_age="300", resource_metadata="https:\/\/api\.example\.com\/meta"$/)
})

test('no decision is 503 and never a yes', async () => {
  for (const [name, wrong] of Object.entries({
    'an error': { status: 500, answer: { decision: true } }, 'created': { status: 201, answer: { decision: true } }, 'no JSON': { text: 'yes' }, 'a list': { answer: [{ decision: true }] },
    'a redirect': { status: 307, headers: { Location: 'http://127.0.0.1:1/' }, answer: {} }, 'silence': { hang: true }, 'too much': { text: '"' + 'a'.repeat(5 << 20) + '"' } })) {
    said = wrong
    const r = await call()
    assert.equal(r.status, 503, name)
    assert.equal(r.headers.get('retry-after'), '1')
    assert.ok(heard.at(-1) instanceof Undecided, name)
  }
})

test('tokens that cannot be good are not asked about', async () => {
  for (const [name, headers, status] of [
    ['none', {}, 401], ['another scheme', { Authorization: 'Basic YTpi' }, 401], ['no token', { Authorization: 'Bearer x y' }, 401], ['no JWT', { Authorization: 'Bearer abc' }, 401],
    ['expired', { Authorization: 'Bearer ' + token({ exp: 1 }) }, 401], ['endless', { Authorization: 'Bearer ' + token({ exp: null }) }, 401],
    ['another audience', { Authorization: 'Bearer ' + token({ aud: ['https://other.example'] }) }, 401], ['bound', { Authorization: 'Bearer ' + token({ cnf: { jkt: 'x' } }) }, 401], ['nobody', { Authorization: 'Bearer ' + token({ sub: '' }) }, 401]]) {
    const r = await call(headers)
    assert.equal(r.status, status, name)
    assert.match(r.challenge, /^Bearer realm=/, name)
  }
  const twice = await new Promise((resolve) => http.get(at(api) + '/7', { headers: ['Authorization', 'Bearer ' + token(), 'Authorization', 'Bearer ' + token(), 'Host', 'x'] }, (r) => resolve(r.statusCode)))
  assert.equal(twice, 400)
  assert.equal(asked.length, 0)
})

test('many at once, and filters', async () => {
  said = { answer: { evaluations: [{ decision: true }, { decision: false, context: { error: { message: 'm' } } }] } }
  const q = { subject: { type: 'user', id: 'a' }, action: 'read', resource: { type: 'order', id: '1' }, minRevision: '1.9' }
  const [a, b] = await client().decideAll([q, q])
  assert.deepEqual([a.allowed, b.allowed, b.error, asked[0].headers['min-revision']], [true, false, 'm', '1.9'])
  await assert.rejects(client().decideAll([q]), Undecided)

  said = { answer: { decision: 'some', sql: '`id` = ?', parameters: ['1'], condition: { op: 'in' }, context: { id: 'dec_2' } } }
  const table = { dialect: 'sqlite', id: 'id' }
  const f = await client({ credentials: async () => 'tok' }).filter({ ...q, table })
  assert.deepEqual([f.sql, f.parameters, f.id, asked.at(-1).headers.authorization, asked.at(-1).body.resource], ['`id` = ?', ['1'], 'dec_2', 'Bearer tok', { type: 'order' }])
  for (const answer of [{}, { decision: 'some', condition: { op: 'true' } }, { decision: 'some', sql: '', condition: { op: 'true' } }]) {
    said = { answer }
    await assert.rejects(client().filter({ ...q, table }), Undecided)
  }
  said = { status: 400, answer: { code: 'not_expressible', detail: 'policy "x"' } }
  await assert.rejects(client().filter({ ...q, table }), NotExpressible)
})

test('what is set up wrong is told at once', () => {
  for (const issuer of ['http://id.example.com', 'ftp://id.example.com', 'http://127.0.0.1.example.com', 'https://a:b@id.example.com', 'https://id.example.com?x']) {
    assert.throws(() => new Decisions({ issuer, credentials: { id: 'a', secret: 'b' } }), TypeError, issuer)
  }
  assert.throws(() => new Decisions({ issuer: 'https://id.example.com' }), TypeError)
  assert.throws(() => authorize({ decisions: {}, audience, about() {} }), TypeError)
  assert.throws(() => authorize({ decisions: client(), about() {} }), TypeError)
  assert.equal(methodAction('PURGE'), 'PURGE')
})
