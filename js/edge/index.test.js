import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'

import { authorize } from '../verify/index.js'
import { Edge, Undecided } from './index.js'

// An edge that answers as a test wants, on a Unix socket.
let dir, socket, server, edge, said, asked
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'edge-'))
  socket = join(dir, 's')
  server = http.createServer(async (req, res) => {
    let body = ''
    for await (const part of req) body += part
    asked.push({ path: req.url, headers: req.headers, body: JSON.parse(body) })
    const now = Array.isArray(said) ? said[asked.length - 1] : said
    if (now.hang) return
    if (now.cut) return res.writeHead(200, { 'Content-Length': 100 }).write('{"decision":', () => res.destroy())
    res.writeHead(now.status ?? 200, { 'Content-Type': 'application/json' })
    res.end(now.text ?? JSON.stringify(now.answer))
  })
  await new Promise((resolve) => server.listen(socket, resolve))
  edge = new Edge({ socket, key: 'k', timeout: 500 })
})
after(async () => {
  edge.close()
  server.closeAllConnections()
  server.close()
  await rm(dir, { recursive: true })
})
beforeEach(() => { asked = [] })

const question = { subject: { type: 'user', id: 'a' }, action: 'read', resource: { type: 'order', id: '1' } }

test('a question goes over the socket, and a yes comes back', async () => {
  said = { answer: { decision: true, context: { id: 'dec_1', revision: '1.7', policies: ['p'], reasons: [{ policy: 'p' }], stale: true } } }
  const d = await edge.decide({ ...question, context: { ip: '::1' }, token: 'tok', minRevision: '1.7', actionProperties: { soft: true } })
  assert.deepEqual(d, { allowed: true, id: 'dec_1', revision: '1.7', policies: ['p'], reasons: [{ policy: 'p' }], error: undefined, stale: true, stepUp: undefined })
  assert.equal(asked[0].path, '/access/v1/evaluation')
  assert.deepEqual([asked[0].headers['min-revision'], asked[0].headers.authorization, asked[0].headers.host], ['1.7', 'Bearer k', 'localhost'])
  assert.deepEqual(asked[0].body, { subject: question.subject, action: { name: 'read', properties: { soft: true } }, resource: question.resource, context: { ip: '::1', access_token: 'tok' } })
})

test('nothing but true is a yes', async () => {
  for (const answer of [{}, { decision: false }, { decision: 'true' }, { decision: 1 }, { decision: [true] }]) {
    said = { answer }
    assert.equal((await edge.decide(question)).allowed, false, JSON.stringify(answer))
  }
  said = { answer: { decision: false, context: { step_up: { acr_values: 'aal2', max_age: 300 } } } }
  assert.deepEqual((await edge.decide(question)).stepUp, { acrValues: 'aal2', maxAge: 300 })
})

test('what goes wrong is no decision', async () => {
  for (const [name, wrong] of Object.entries({
    'an error': { status: 503, answer: { decision: true } }, 'created': { status: 201, answer: { decision: true } }, 'no JSON': { text: 'yes' }, 'a list': { answer: [{ decision: true }] },
    'nothing': { answer: null }, 'silence': { hang: true }, 'half an answer': { cut: true }, 'too much': { text: '"' + 'a'.repeat(5 << 20) + '"' } })) {
    said = wrong
    asked = []
    await assert.rejects(edge.decide(question), Undecided, name)
  }
  const nobody = new Edge({ socket: join(dir, 'nobody') })
  await assert.rejects(nobody.decide(question), Undecided)
})

test('many at once, in their order and as many', async () => {
  said = { answer: { evaluations: [{ decision: true }, { decision: false, context: { error: { message: 'm' } } }] } }
  const [a, b] = await edge.decideAll([question, question])
  assert.deepEqual([a.allowed, b.allowed, b.error, asked[0].path], [true, false, 'm', '/access/v1/evaluations'])
  await assert.rejects(edge.decideAll([question]), Undecided)
  assert.deepEqual(await edge.decideAll([]), [])
})

test('searches go on to the last page', async () => {
  const all = async (found) => { const list = []; for await (const one of found) list.push(one); return list }
  said = [{ answer: { results: [{ type: 'order', id: '1' }], page: { next_token: 'n' } } }, { answer: { results: [{ type: 'order', id: '2' }], page: { next_token: '' } } }]
  assert.deepEqual(await all(edge.resources({ ...question, resource: { type: 'order' } })), ['1', '2'])
  assert.deepEqual(asked.map((a) => [a.path, a.body.page?.token, a.body.resource]), [['/access/v1/search/resource', undefined, { type: 'order' }], ['/access/v1/search/resource', 'n', { type: 'order' }]])
  asked = []
  said = { answer: { results: [{ name: 'read' }] } }
  assert.deepEqual(await all(edge.actions(question)), ['read'])
  assert.equal(asked[0].body.action, undefined)
  said = { answer: { results: [{ type: 'user', id: 'a' }] } }
  assert.deepEqual(await all(edge.subjects({ ...question, subject: { type: 'user' } })), ['a'])
  said = { answer: {} }
  await assert.rejects(all(edge.actions(question)), Undecided)
})

test('the middleware takes an edge', () => {
  assert.equal(typeof authorize({ decisions: edge, audience: 'https://api.example.com', about() {} }), 'function')
})

test('what is set up wrong is told at once', () => {
  for (const options of [{}, { socket: '' }, { socket: 's', url: 'http://127.0.0.1:1' }, { url: 'https://127.0.0.1:1' }, { url: 'http://edge.example.com' }, { url: 'http://127.0.0.1.example.com' },
    { url: 'http://127.0.0.1:1/path' }, { url: 'http://a:b@127.0.0.1:1' }, { socket: 's', timeout: 0 }, { socket: 's', key: 'a b' }]) {
    assert.throws(() => new Edge(options), TypeError, JSON.stringify(options))
  }
  new Edge({ url: 'http://[::1]:7480' }).close()
})
