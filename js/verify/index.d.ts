import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Decision, Entity, Question, StepUp } from './question.js'

export type { Decision, Entity, Question, Reason, StepUp } from './question.js'
export { Undecided } from './question.js'

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
