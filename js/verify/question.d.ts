export interface Entity { type: string; id: string; properties?: Record<string, unknown> }
export interface StepUp { acrValues?: string; maxAge?: number }
export interface Reason { policy?: string; text?: string; error?: string }

export interface Question {
  subject: Entity
  action: string
  actionProperties?: Record<string, unknown>
  resource: Entity
  context?: Record<string, unknown>
  /** The subject's own access token: it tells how the person signed in. */
  token?: string
  /** The answer is never older than this revision. */
  minRevision?: string
}

export interface Decision {
  allowed: boolean
  id?: string
  revision?: string
  policies: string[]
  reasons: Reason[]
  error?: string
  /** Allowed by facts that are older than the edge was told to trust, as the action is set to be. Never of the decision service. */
  stale: boolean
  /** When denied: with such a sign-in it would be allowed. */
  stepUp?: StepUp
}

/** Not a yes and not a no: nobody could be asked, or did not answer. */
export class Undecided extends Error {}
