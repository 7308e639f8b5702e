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
  /** Allowed by facts that are older than the edge was told to trust, as the action is set to be. */
  stale: boolean
  /** When denied: with such a sign-in it would be allowed. */
  stepUp?: StepUp
}

/** Not a yes and not a no: the edge could not be asked, or did not answer. */
export class Undecided extends Error {}

export class Edge {
  /** key is the one that the edge asks for, if any; timeout is in milliseconds, 1000 by default. */
  constructor(options: ({ socket: string; url?: undefined } | { url: string; socket?: undefined }) & { key?: string; timeout?: number; connections?: number })
  decide(question: Question): Promise<Decision>
  decideAll(questions: Question[]): Promise<Decision[]>
  resources(question: Omit<Question, 'resource'> & { resource: { type: string } }): AsyncGenerator<string>
  subjects(question: Omit<Question, 'subject'> & { subject: { type: string } }): AsyncGenerator<string>
  actions(question: Omit<Question, 'action'>): AsyncGenerator<string>
  close(): void
}
