import type { IncomingMessage, ServerResponse } from 'node:http'

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
  /** When denied: with such a sign-in it would be allowed. */
  stepUp?: StepUp
}

export type Column = string | { column: string; type?: 'text' | 'integer' | 'uuid' | 'boolean' | 'epoch_s' | 'epoch_ms' }

export interface Table {
  dialect?: 'postgresql' | 'sqlite' | 'mysql'
  id: Column
  attributes?: Record<string, Column>
  parents?: Record<string, Column>
  first_parameter?: number
}

export interface Condition {
  op: 'true' | 'false' | 'all' | 'any' | 'present' | 'absent' | 'in' | 'not_in' | 'less' | 'at_most' | 'greater' | 'at_least' | 'same' | 'different' | 'like' | 'unlike'
  args?: Condition[]
  field?: Field
  other?: Field
  values?: (string | number | boolean)[]
  pattern?: { text?: string; any?: boolean }[]
}
export interface Field { kind: 'id' | 'attribute' | 'parent'; name?: string; type: 'id' | 'string' | 'long' | 'bool' | 'datetime'; column: string }

export interface Filter {
  decision: 'all' | 'none' | 'some'
  /** Stands by itself behind WHERE or AND. */
  sql?: string
  parameters: (string | number)[]
  condition: Condition
  id?: string
  revision?: string
  stepUp?: StepUp
}

export class Undecided extends Error {}
export class NotExpressible extends Error {}

export class Decisions {
  constructor(options: { issuer: string; credentials: { id: string; secret: string } | (() => string | Promise<string>); timeout?: number; fetch?: typeof fetch })
  decide(question: Question): Promise<Decision>
  decideAll(questions: Question[]): Promise<Decision[]>
  filter(question: Omit<Question, 'resource'> & { resource: { type: string }; table: Table }): Promise<Filter>
}

export type About = Partial<Pick<Question, 'action' | 'actionProperties' | 'context' | 'minRevision'>> & { resource: Entity }

export function authorize<R extends IncomingMessage>(options: {
  /** A Decisions, or the Edge of @cardea/edge. */
  decisions: { decide(question: Question): Promise<Decision> }
  /** The aud of this API's access tokens. */
  audience: string
  /** Maps a request to what is asked; nothing denies. */
  about: (req: R, claims: Record<string, unknown>) => About | undefined | Promise<About | undefined>
  realm?: string
  resourceMetadata?: string
  onError?: (error: Error) => void
}): (req: R & { decision?: Decision }, res: ServerResponse, next: (error?: unknown) => void) => Promise<void>

export function methodAction(method: string): string
