// Questions and decisions of AuthZEN 1.0 as they are sent and answered. This file
// lies in @cardea/edge and @cardea/verify alike, so that neither needs another package.

export const maxAnswer = 4 << 20

// Undecided says that nobody could be asked, or did not answer.
export class Undecided extends Error {
  constructor(message, options) {
    super('no decision could be had: ' + message, options)
    this.name = 'Undecided'
  }
}

// loopback reports whether a URL is that of this machine.
export function loopback(u) {
  return u.hostname === 'localhost' || u.hostname === '[::1]' || /^127(\.\d+){3}$/.test(u.hostname)
}

export function wire({ subject, action, actionProperties, resource, context, token }) {
  const out = { subject, action: actionProperties ? { name: action, properties: actionProperties } : { name: action }, resource }
  if (context || token) out.context = token ? { ...context, access_token: token } : context
  return out
}

// objectOf is an answer that is a JSON object, as every one is.
export function objectOf(text) {
  let answer
  try { answer = JSON.parse(text) } catch (error) { throw new Undecided('the answer is no JSON', { cause: error }) }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw new Undecided('the answer is no object')
  return answer
}

export function decisionOf(answer) {
  const context = answer?.context ?? {}
  const allowed = answer?.decision === true
  return {
    allowed, id: context.id, revision: context.revision, policies: context.policies ?? [], reasons: context.reasons ?? [], error: context.error?.message,
    stale: context.stale === true,
    stepUp: allowed ? undefined : stepUpOf(answer),
  }
}

export function decisionsOf(answer, questions) {
  if (!Array.isArray(answer.evaluations) || answer.evaluations.length !== questions.length) throw new Undecided('not as many answers as questions')
  return answer.evaluations.map(decisionOf)
}

export function stepUpOf(answer) {
  const need = answer?.context?.step_up
  if (!need || !need.acr_values && !need.max_age) return undefined
  return { acrValues: need.acr_values, maxAge: need.max_age }
}
