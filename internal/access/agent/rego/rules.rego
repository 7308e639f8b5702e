# Given by Cardea with every policy bundle: who holds which role on what, by the
# facts and roles of the realm, as its own decisions see them.
#
#   import data.cardea.rules
#   allow if rules.may(input.subject, input.action.name, input.resource)
#
# A subject and a resource are objects with a type and an id. All of it is judged
# at the time of the agent's own clock, so that what ends does so when the agent
# is cut off, too.
package cardea.rules

import rego.v1

# key is how the facts name something. A type has no slash, so nothing can be
# mistaken for another.
key(entity) := concat("/", [entity.type, entity.id])

# may: the subject holds a role whose permissions have the action.
may(subject, action, resource) if {
	alive(subject)
	some role in roles(subject, resource)
	action in data.cardea.roles[resource.type][role].permissions
}

# roles that the subject holds on the resource: by itself or as a member, there or
# on what the resource is inside of, and what those roles imply.
roles(subject, resource) := {role |
	chain := above("parent", key(resource))
	granted := held(chain, above("member", key(subject)))
	names := {name | some [_, name] in granted} | {name | some _, of in data.cardea.roles; some name, _ in of}
	leads := {[at, name]: to |
		some at in chain
		some name in names
		to := implied(at, name) | {[below, name] | some below in chain; lasts(data.cardea.facts.parent[below][at])}
	}
	some [where, role] in graph.reachable(leads, granted)
	where == key(resource)
}

# held are the roles that were granted to any of who on any of the chain.
held(chain, who) := {[at, name] |
	some at in chain
	some one in who
	some name, ends in data.cardea.facts.roles[at][one]
	lasts(ends)
}

implied(at, role) := {[at, also] | some also in data.cardea.roles[split(at, "/")[0]][role].implies}

# alive: nobody says that the subject, or whom it belongs to, may do nothing.
alive(subject) if {
	not ours(subject)
}

alive(subject) if {
	ours(subject)
	chain := above("owner", key(subject))
	count(chain) <= 16
	every one in chain {
		data.cardea.facts.principals[one].status == "active"
		lasts(data.cardea.facts.principals[one].until)
	}
}

ours(subject) if {
	data.cardea.types[split(subject.id, "_")[0]] == subject.type
}

lasts(ends) if ends == 0

lasts(ends) if ends > time.now_ns() / 1000000

# beyond is one step up from those at the front, to where nobody has been.
beyond(kind, seen, front) := {to |
	some from in front
	some to, ends in data.cardea.facts[kind][from]
	lasts(ends)
	not to in seen
}

# above is something and all that it is inside of, or all it belongs to. Nesting
# is never deeper than 32.
above(kind, start) := four if {
	one := climb(kind, {"seen": {start}, "front": {start}})
	two := climb(kind, one)
	three := climb(kind, two)
	last := climb(kind, three)
	four := last.seen
}

# climb goes eight steps up.
climb(_, at) := at if count(at.front) == 0

climb(kind, at) := {"seen": s8, "front": f8} if {
	count(at.front) > 0
	f1 := beyond(kind, at.seen, at.front)
	s1 := at.seen | f1
	f2 := beyond(kind, s1, f1)
	s2 := s1 | f2
	f3 := beyond(kind, s2, f2)
	s3 := s2 | f3
	f4 := beyond(kind, s3, f3)
	s4 := s3 | f4
	f5 := beyond(kind, s4, f4)
	s5 := s4 | f5
	f6 := beyond(kind, s5, f5)
	s6 := s5 | f6
	f7 := beyond(kind, s6, f6)
	s7 := s6 | f7
	f8 := beyond(kind, s7, f7)
	s8 := s7 | f8
}
