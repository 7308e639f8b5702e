import type { Decision, Question } from './question.js'

export type { Decision, Entity, Question, Reason, StepUp } from './question.js'
export { Undecided } from './question.js'

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
