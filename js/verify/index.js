// Enforcement in Node: a middleware for Express (or anything that takes request,
// response and next) that asks Cardea's decision service about each request, and a
// client of that service. It has no dependencies and keeps no answer: a decision
// counts for the moment. Whatever goes wrong is never a yes.

import { Undecided, decisionOf, decisionsOf, loopback, maxAnswer, objectOf, stepUpOf, wire } from './question.js'

export { Undecided }

// NotExpressible says that a policy cannot be written as a condition on rows.
export class NotExpressible extends Error {
  constructor(message) {
    super(message)
    this.name = 'NotExpressible'
  }
}

// Decisions asks an issuer's decision service (AuthZEN 1.0).
export class Decisions {
  #base
  #credentials
  #timeout
  #fetch

  // credentials: { id, secret } of a resource server, or a function that returns an
  // access token for {issuer}/access/v1 with scope cardea:decide.
  constructor({ issuer, credentials, timeout = 2000, fetch = globalThis.fetch }) {
    const u = new URL(issuer)
    if (u.protocol !== 'https:' && !(u.protocol === 'http:' && loopback(u))) throw new TypeError('issuer must be https, except on the loopback interface')
    if (u.search || u.hash || u.username || u.password) throw new TypeError('issuer must be a plain URL')
    if (typeof credentials !== 'function' && !(credentials?.id && credentials?.secret)) throw new TypeError('credentials must be { id, secret } or a function that returns an access token')
    this.#base = issuer.replace(/\/$/, '') + '/access/v1'
    this.#credentials = credentials
    this.#timeout = timeout
    this.#fetch = fetch
  }

  // decide asks one question. What is not a yes is a no.
  async decide(question) {
    const answer = await this.#post('/evaluation', wire(question), question.minRevision)
    return decisionOf(answer)
  }

  // decideAll asks many questions on one state, and answers in their order.
  async decideAll(questions) {
    if (questions.length === 0) return []
    const answer = await this.#post('/evaluations', { evaluations: questions.map(wire) }, questions[0].minRevision)
    return decisionsOf(answer, questions)
  }

  // filter asks which rows of a table of one's own a subject may do the action to.
  // table is { dialect, id, attributes, parents, first_parameter }.
  async filter({ table, resource, ...question }) {
    const body = { ...wire({ ...question, resource: { type: resource.type } }), table }
    const answer = await this.#post('/residual', body, question.minRevision)
    const whole = ['all', 'none', 'some'].includes(answer.decision) && typeof answer.condition?.op === 'string' && (table.dialect === undefined || typeof answer.sql === 'string' && answer.sql !== '')
    if (!whole) throw new Undecided('the answer is no filter')
    return { decision: answer.decision, sql: answer.sql, parameters: answer.parameters ?? [], condition: answer.condition, id: answer.context?.id, revision: answer.context?.revision, stepUp: stepUpOf(answer) }
  }

  async #post(path, body, minRevision) {
    const headers = { 'Content-Type': 'application/json', Accept: 'application/json' }
    if (minRevision) headers['Min-Revision'] = minRevision
    try {
      headers.Authorization = await this.#authorization()
      const response = await this.#fetch(this.#base + path, { method: 'POST', headers, body: JSON.stringify(body), redirect: 'error', signal: AbortSignal.timeout(this.#timeout) })
      const text = await read(response)
      if (response.status !== 200) {
        let problem = {}
        try { problem = JSON.parse(text) } catch { /* it is told by its status */ }
        if (problem?.code === 'not_expressible') throw new NotExpressible(String(problem.detail))
        throw new Undecided(`${path} answered ${response.status}: ${text.slice(0, 200)}`)
      }
      return objectOf(text)
    } catch (error) {
      if (error instanceof Undecided || error instanceof NotExpressible) throw error
      throw new Undecided(error.message, { cause: error })
    }
  }

  async #authorization() {
    if (typeof this.#credentials === 'function') return 'Bearer ' + await this.#credentials()
    const { id, secret } = this.#credentials
    const encode = (text) => new URLSearchParams({ '': text }).toString().slice(1) // RFC 6749, section 2.3.1
    return 'Basic ' + Buffer.from(encode(id) + ':' + encode(secret)).toString('base64')
  }
}

async function read(response) {
  const parts = []
  let size = 0
  for await (const part of response.body ?? []) {
    if ((size += part.length) > maxAnswer) throw new Undecided(`the answer is larger than ${maxAnswer} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

// authorize returns a middleware that lets through what the decision service
// permits. about maps a request to { action, resource } and, if wanted, context,
// actionProperties and minRevision; action is the method's by default (methodAction).
//
// The subject is that of the request's access token, which goes along with the
// question: the service finds out whether it is alive, and how its person signed in.
// So nothing that is read from the token here counts before the service said yes
// to that very token.
export function authorize({ decisions, audience, about, realm = audience, resourceMetadata, onError = () => {} }) {
  if (typeof decisions?.decide !== 'function') throw new TypeError('decisions must be a Decisions, or the Edge of @cardea/edge')
  if (typeof audience !== 'string' || audience === '') throw new TypeError('audience must name this API, as in the aud of its tokens')
  if (typeof about !== 'function') throw new TypeError('about must map a request to an action and a resource')

  const challenge = (res, status, code, description, more = '') => {
    let text = `Bearer realm="${quoted(realm)}"`
    if (code) text += `, error="${code}", error_description="${description}"`
    text += more
    if (resourceMetadata) text += `, resource_metadata="${quoted(resourceMetadata)}"` // RFC 9728, section 5.1
    res.setHeader('WWW-Authenticate', text)
    answer(res, status, description)
  }

  return async function (req, res, next) {
    let go = false
    try {
      const shown = presented(req)
      if (shown.problem) return challenge(res, shown.status, shown.code, shown.problem)
      const claims = claimsOf(shown.token)
      if (!claims || ![claims.aud].flat().includes(audience)) return challenge(res, 401, 'invalid_token', 'the access token is not valid here')
      if (claims.cnf) return challenge(res, 401, 'invalid_token', 'the access token is bound to a key or certificate, which cannot be checked here')
      if (!(claims.exp * 1000 > Date.now())) return challenge(res, 401, 'invalid_token', 'the access token has expired')
      const question = await about(req, claims)
      if (!question) return answer(res, 403, 'you may not do this')
      const decision = await decisions.decide({ action: methodAction(req.method), ...question, subject: { type: subjectType(claims.sub), id: claims.sub }, token: shown.token })
      if (decision.allowed) {
        req.decision = decision
        go = true
      } else if (decision.stepUp) { // RFC 9470, section 3
        let more = ''
        if (typeof decision.stepUp.acrValues === 'string') more += `, acr_values="${quoted(decision.stepUp.acrValues)}"`
        if (Number.isInteger(decision.stepUp.maxAge)) more += `, max_age="${decision.stepUp.maxAge}"`
        return challenge(res, 401, 'insufficient_user_authentication', 'sign in again, or in a stronger way', more)
      } else {
        return answer(res, 403, 'you may not do this')
      }
    } catch (error) {
      onError(error)
      res.setHeader('Retry-After', '1')
      return answer(res, 503, 'it cannot be told at the moment whether this is allowed')
    }
    if (go) next()
  }
}

function answer(res, status, text) {
  res.statusCode = status
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.end(text + '\n')
}

// presented reads the one token of a request (RFC 6750, section 2.1).
function presented(req) {
  const headers = []
  for (let i = 0; i < (req.rawHeaders ?? []).length; i += 2) {
    if (req.rawHeaders[i].toLowerCase() === 'authorization') headers.push(req.rawHeaders[i + 1])
  }
  if (headers.length === 0) return { status: 401, problem: 'an access token is needed' }
  if (headers.length > 1) return { status: 400, code: 'invalid_request', problem: 'send one Authorization header with one token' }
  const found = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(headers[0])
  if (!found) return { status: 401, code: 'invalid_token', problem: 'send the access token as Bearer' }
  return { token: found[1] }
}

// claimsOf reads what a token says, unproved (RFC 9068, section 2).
function claimsOf(token) {
  const parts = token.split('.')
  if (parts.length !== 3) return undefined
  try {
    const claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString('utf8'))
    if (typeof claims.sub !== 'string' || claims.sub === '' || !Number.isFinite(claims.exp)) return undefined
    return claims
  } catch {
    return undefined
  }
}

// subjectType is the type under which policies know the subject of a token. Whoever
// has an id for one API alone is a person.
function subjectType(id) {
  return { svc: 'service', wkl: 'workload', agt: 'agent' }[id.split('_', 1)[0]] ?? 'user'
}

// methodAction names an action by the method of a request.
export function methodAction(method) {
  return { GET: 'read', HEAD: 'read', OPTIONS: 'read', POST: 'create', PUT: 'write', PATCH: 'write', DELETE: 'delete' }[method] ?? method
}

// quoted is the inside of a quoted-string (RFC 9110, section 5.6.4).
function quoted(text) {
  return String(text).replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')
}
