package main

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// argumentSources say what can stand for the placeholders in the use lines. A
// key with the command's own words is about that command alone.
var argumentSources = map[string]source{
	"USER":            users,
	"MEMBER":          users,
	"PRINCIPAL":       users,
	"GROUP":           groups,
	"ORGANIZATION":    organizations,
	"SERVICE":         services,
	"CLIENT":          clients,
	"KEY":             signingKeys,
	"SESSION":         sessions,
	"GRANT":           grants,
	"JOB":             jobs,
	"INCIDENT":        incidents,
	"DECISION":        decisions,
	"REALM":           realms,
	"TYPE":            detailTypes,
	"ROLE":            oneOf("owner", "admin", "helpdesk", "viewer", "application"),
	"SECRET-ID":       secrets,
	"TOKEN-ID":        initialTokens,
	"INVITATION-ID":   invitations,
	"TERMS-ID":        termsVersions,
	"CREDENTIAL":      credentials,
	"USER-CREDENTIAL": userCredentials,
	"ADDRESS":         addresses,
	"ISSUER":          issuers,
	"LINK-ID":         links,
	"VERSION":         policyVersions,
	"SOURCE":          factSources,
	"IMPORT":          factImports,
	"DIR":             nil,
	"FILE":            nil,
	"BEFORE":          nil,
	"AFTER":           nil,

	"email add ADDRESS":          nil, // a new one
	"group remove MEMBER":        listOf(groupMembers, memberCandidate),
	"organization remove MEMBER": listOf(organizationMembers, memberCandidate),
	"operator remove PRINCIPAL":  operators,
}

// flagSources say what can be the value of flags. A key with the command's own
// words is about that command alone.
var flagSources = map[string]source{
	"type":                       oneOf("web", "spa", "native", "service"),
	"grant-type":                 oneOf("authorization_code", "refresh_token", "client_credentials", "device_code", "ciba", "token-exchange", "jwt-bearer"),
	"auth-method":                oneOf("none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "attest_jwt_client_auth"),
	"access-token":               oneOf("jwt", "opaque"),
	"subject-type":               oneOf("public", "pairwise"),
	"id-token-alg":               oneOf("ES256", "RS256", "PS256", "EdDSA"),
	"profile":                    oneOf("default", "mcp", "fapi2"),
	"backchannel-mode":           oneOf("poll", "ping", "push"),
	"backchannel-request-alg":    oneOf("ES256", "RS256", "PS256", "EdDSA"),
	"request-object-alg":         oneOf("ES256", "RS256", "PS256", "EdDSA"),
	"authorization-detail-type":  detailTypes,
	"algorithm":                  oneOf("ES256", "RS256", "PS256", "EdDSA"),
	"access log subject-type":    nil, // a type of the realm's own policies
	"access review subject-type": nil,
	"format":                     oneOf("csv", "json"),
	"state":                      oneOf("active", "suspended", "deleted"),
	"invitation list state":      oneOf("open", "accepted", "withdrawn", "expired"),
	"user":                       userIDs,
	"principal":                  userIDs,
	"actor":                      userIDs,
	"owner":                      userIDs,
	"client":                     clients,
	"session":                    sessions,
	"signed-with":                oneOf("ES256", "RS256", "PS256", "EdDSA"),
	"use":                        oneOf("token_exchange", "jwt_bearer", "id_jag", "login_hint"),
	"target":                     clients,
	"subject":                    sessions,

	"job list state":      oneOf("waiting", "done", "dead", "discarded"),
	"incident list state": oneOf("open", "closed"),
	"incident list user":  users,
}

var (
	users = listOf(searchUsers, func(u api.User) candidate {
		return candidate{[]string{u.Username, primary(u.Emails), unlessDeleted(u.State, u.ID)}, firstOf(u.DisplayName, primary(u.Emails), u.Username)}
	})
	userIDs = listOf(searchUsers, func(u api.User) candidate {
		return candidate{[]string{unlessDeleted(u.State, u.ID)}, firstOf(u.DisplayName, primary(u.Emails), u.Username)}
	})
	groups = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Group, error] {
		return cl.Groups.All(ctx, nil)
	}, func(g api.Group) candidate { return candidate{[]string{g.Name, g.ID}, firstOf(g.DisplayName, g.Name)} })
	organizations = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Organization, error] {
		return cl.Organizations.All(ctx, nil)
	}, func(o api.Organization) candidate {
		return candidate{[]string{o.Name, o.ID}, firstOf(o.DisplayName, o.Name)}
	})
	services = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Service, error] {
		return cl.Services.All(ctx, nil)
	}, func(s api.Service) candidate {
		return candidate{[]string{unlessDeleted(s.State, s.Name), unlessDeleted(s.State, s.ID)}, firstOf(s.DisplayName, s.Name)}
	})
	clients = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Client, error] {
		return cl.Clients.All(ctx, nil)
	}, func(x api.Client) candidate { return candidate{[]string{x.ID}, x.Name} })
	detailTypes = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.AuthorizationDetailType, error] {
		page, err := cl.AuthorizationDetailTypes.List(ctx)
		return pageOf(page, err)
	}, func(x api.AuthorizationDetailType) candidate { return candidate{[]string{x.Type}, languagesOf(x)} })
	signingKeys = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.SigningKey, error] {
		page, err := cl.SigningKeys.List(ctx)
		return pageOf(page, err)
	}, func(k api.SigningKey) candidate { return candidate{[]string{k.ID}, k.Algorithm + " " + k.State} })
	invitations = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Invitation, error] {
		return cl.Invitations.All(ctx, client.Filter{"state": "open"})
	}, func(i api.Invitation) candidate { return candidate{[]string{i.ID}, i.Email} })

	termsVersions = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Terms, error] {
		return cl.Terms.All(ctx)
	}, func(v api.Terms) candidate { return candidate{[]string{v.ID}, v.Document + " " + v.Version} })

	initialTokens = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.InitialAccessToken, error] {
		return cl.InitialAccessTokens.All(ctx)
	}, func(t api.InitialAccessToken) candidate { return candidate{[]string{t.ID}, t.Name} })
	sessions = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Session, error] {
		return cl.Sessions.All(ctx, nil)
	}, func(s api.Session) candidate {
		return candidate{[]string{s.ID}, s.User + " since " + moment(s.SignedInAt)}
	})
	jobs = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Job, error] {
		return cl.Jobs.All(ctx, nil)
	}, func(j api.Job) candidate { return candidate{[]string{j.ID}, j.Kind + " " + j.State} })
	incidents = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Incident, error] {
		return cl.Incidents.All(ctx, nil)
	}, func(i api.Incident) candidate { return candidate{[]string{i.ID}, i.State + " " + i.Detector} })
	decisions = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Decision, error] {
		return cl.Decisions.All(ctx, nil)
	}, func(d api.Decision) candidate {
		return candidate{[]string{d.ID}, verdict(d) + ": " + partText(d.Question.Subject) + " " + d.Question.Action + " " + partText(d.Question.Resource)}
	})
	grants = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Grant, error] {
		return cl.Grants.All(ctx, nil)
	}, func(g api.Grant) candidate { return candidate{[]string{g.ID}, g.Client + " for " + g.Principal} })
	realms = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Realm, error] {
		return cl.Realms.All(ctx)
	}, func(r api.Realm) candidate { return candidate{[]string{r.Name}, firstOf(r.DisplayName, r.Issuer)} })
	operators = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.Operator, error] {
		return cl.Operators.All(ctx)
	}, func(o api.Operator) candidate { return candidate{[]string{o.Principal}, o.Name + " " + o.Role} })
	issuers = listOf(func(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[api.TrustedIssuer, error] {
		return cl.TrustedIssuers.All(ctx, nil)
	}, func(x api.TrustedIssuer) candidate { return candidate{[]string{x.ID}, x.Name} })
	links = listOf(func(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.TrustedSubject, error] {
		page, err := cl.TrustedIssuers.Subjects(ctx, args[0], client.Cursor{})
		return pageOf(page, err)
	}, func(l api.TrustedSubject) candidate {
		return candidate{[]string{l.ID}, l.Subject + " is " + l.Principal}
	})
	secrets = listOf(func(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.Credential, error] {
		page, err := cl.Clients.Secrets(ctx, args[0])
		return pageOf(page, err)
	}, credentialCandidate)
	credentials = listOf(func(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.Credential, error] {
		id, err := identify(ctx, cl, "SERVICE", args[0])
		if err != nil {
			return pageOf(api.Page[api.Credential]{}, err)
		}
		page, err := cl.Services.Credentials(ctx, id)
		return pageOf(page, err)
	}, credentialCandidate)
	userCredentials = listOf(func(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.Credential, error] {
		u, err := cl.Users.Get(ctx, args[0])
		if err != nil {
			return pageOf(api.Page[api.Credential]{}, err)
		}
		page, err := cl.Users.Credentials(ctx, u.ID)
		return pageOf(page, err)
	}, credentialCandidate)
	addresses = listOf(func(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.Email, error] {
		u, err := cl.Users.Get(ctx, args[0])
		return pageOf(api.Page[api.Email]{Items: u.Emails}, err)
	}, func(e api.Email) candidate { return candidate{[]string{e.Address}, describeEmail(e)} })
)

// unlessDeleted is an id of what can still be named.
func unlessDeleted(state, id string) string {
	if state == "deleted" {
		return ""
	}
	return id
}

// searchUsers has the server find names and addresses; it does not search ids.
func searchUsers(ctx context.Context, cl *client.Client, _ []string, typed string) iter.Seq2[api.User, error] {
	if strings.HasPrefix(typed, "usr_") {
		typed = ""
	}
	return cl.Users.All(ctx, client.Filter{"q": typed})
}

func groupMembers(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.Member, error] {
	id, err := identify(ctx, cl, "GROUP", args[0])
	if err != nil {
		return pageOf(api.Page[api.Member]{}, err)
	}
	return cl.Groups.Members(ctx, id)
}

func organizationMembers(ctx context.Context, cl *client.Client, args []string, _ string) iter.Seq2[api.Member, error] {
	id, err := identify(ctx, cl, "ORGANIZATION", args[0])
	if err != nil {
		return pageOf(api.Page[api.Member]{}, err)
	}
	return cl.Organizations.Members(ctx, id)
}

func memberCandidate(m api.Member) candidate { return candidate{[]string{m.ID}, m.Name} }

func credentialCandidate(x api.Credential) candidate {
	return candidate{[]string{x.ID}, x.Type + " of " + moment(x.CreatedAt)}
}

// pageOf walks a list that has one page.
func pageOf[T any](page api.Page[T], err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		for _, item := range page.Items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

func factSources(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[candidate, error] {
	return func(yield func(candidate, error) bool) {
		page, err := cl.FactSources.List(ctx)
		if err != nil {
			yield(candidate{}, err)
			return
		}
		for _, s := range page.Items {
			if !yield(candidate{[]string{s.Name, s.ID}, s.Kind}, nil) {
				return
			}
		}
	}
}

func factImports(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[candidate, error] {
	return func(yield func(candidate, error) bool) {
		page, err := cl.FactImports.List(ctx, client.Cursor{Limit: suggestMost})
		if err != nil {
			yield(candidate{}, err)
			return
		}
		for _, i := range page.Items {
			if !yield(candidate{[]string{i.ID}, firstOf(i.Name, i.State)}, nil) {
				return
			}
		}
	}
}

func policyVersions(ctx context.Context, cl *client.Client, _ []string, _ string) iter.Seq2[candidate, error] {
	return func(yield func(candidate, error) bool) {
		page, err := cl.Policies.List(ctx, client.Cursor{Limit: suggestMost})
		if err != nil {
			yield(candidate{}, err)
			return
		}
		for _, v := range page.Items {
			if !yield(candidate{[]string{strconv.FormatInt(v.Number, 10)}, firstOf(v.Message, v.Origin, moment(v.CreatedAt))}, nil) {
				return
			}
		}
	}
}
