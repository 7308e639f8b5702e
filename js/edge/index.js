// A client of an edge of Cardea, which decides beside this program: AuthZEN 1.0 over
// a Unix socket, or over the loopback interface. It has no dependencies and keeps no
// answer: a decision counts for the moment. Whatever goes wrong is never a yes.
import http from 'node:http'
import { Undecided, decisionOf, decisionsOf, loopback, maxAnswer, objectOf, wire } from './question.js'

export { Undecided }

// Edge asks one edge. It keeps connections open; close ends them.
export class Edge {
  #to
  #agent
  #timeout
  #key

  // socket is the path of the edge's Unix socket; or url is its address on the
  // loopback interface, such as http://127.0.0.1:7480. key is the one that the edge
  // was told to ask for, if any; timeout is in milliseconds.
  constructor({ socket, url, key, timeout = 1000, connections = 16 } = {}) {
    if ((socket === undefined) === (url === undefined)) throw new TypeError('name the socket of the edge or its url')
    if (!(timeout > 0)) throw new TypeError('timeout must be positive')
    if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) throw new TypeError('key must be the text of the key file, without blanks')
    if (socket !== undefined) {
      if (typeof socket !== 'string' || socket === '') throw new TypeError('socket must be the path of a Unix socket')
      this.#to = { socketPath: socket }
    } else {
      const u = new URL(url)
      if (u.protocol !== 'http:' || !loopback(u) || u.pathname !== '/' || u.search || u.hash || u.username || u.password) {
        throw new TypeError('url must be http on the loopback interface, without a path: an edge serves its own machine')
      }
      this.#to = { host: u.hostname.replace(/^\[|\]$/g, ''), port: Number(u.port || 80) }
    }
    this.#timeout = timeout
    this.#key = key
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections })
  }

  // decide asks one question. What is not a yes is a no.
  async decide(question) {
    return decisionOf(await this.#ask('/access/v1/evaluation', wire(question), question.minRevision))
  }

  // decideAll asks many questions on one state, and answers in their order.
  async decideAll(questions) {
    if (questions.length === 0) return []
    const answer = await this.#ask('/access/v1/evaluations', { evaluations: questions.map(wire) }, questions[0].minRevision)
    return decisionsOf(answer, questions)
  }

  // resources yields the ids of the resources of a type on which the subject may do
  // the action; subjects those of the subjects of a type who may do it to the resource.
  async * resources(question) { for await (const found of this.#search('resource', question)) yield found.id }
  async * subjects(question) { for await (const found of this.#search('subject', question)) yield found.id }

  // actions yields the names of what the subject may do to the resource.
  async * actions(question) { for await (const found of this.#search('action', question)) yield found.name }

  // close ends the connections that are kept open.
  close() { this.#agent.destroy() }

  async * #search(what, question) {
    const body = wire(question)
    if (what === 'action') delete body.action
    else body[what] = { type: question[what].type }
    for (let token = '', first = true; first || token !== ''; first = false) {
      const answer = await this.#ask('/access/v1/search/' + what, token ? { ...body, page: { token } } : body, question.minRevision)
      if (!Array.isArray(answer.results)) throw new Undecided('the answer has no results')
      yield * answer.results
      token = answer.page?.next_token ?? ''
      if (typeof token !== 'string') throw new Undecided('the answer has a page token that is no text')
    }
  }

  async #ask(path, body, minRevision) {
    const text = Buffer.from(JSON.stringify(body))
    const headers = { 'Content-Type': 'application/json', Accept: 'application/json', 'Content-Length': text.length }
    if (this.#key) headers.Authorization = 'Bearer ' + this.#key
    if (minRevision) headers['Min-Revision'] = minRevision
    let status, said
    try {
      [status, said] = await this.#post(path, headers, text)
    } catch (error) {
      throw error instanceof Undecided ? error : new Undecided(error.message, { cause: error })
    }
    if (status !== 200) throw new Undecided(`${path} answered ${status}: ${said.slice(0, 200)}`)
    return objectOf(said)
  }

  #post(path, headers, body) {
    return new Promise((resolve, reject) => {
      const request = http.request({ ...this.#to, agent: this.#agent, method: 'POST', path, headers, signal: AbortSignal.timeout(this.#timeout) }, (response) => {
        const parts = []
        let size = 0
        response.on('data', (part) => {
          if ((size += part.length) > maxAnswer) return response.destroy(new Undecided(`the answer is larger than ${maxAnswer} bytes`))
          parts.push(part)
        })
        response.on('error', reject)
        response.on('end', () => resolve([response.statusCode, Buffer.concat(parts).toString('utf8')]))
      })
      request.on('error', reject)
      request.end(body)
    })
  }
}
