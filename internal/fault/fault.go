// Package fault holds the failures a caller may be told about. Any other error
// is internal: doors log it and answer with a bare 500.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what the caller can do about a failure. The zero value is Internal.
type Kind int

// The kinds of failure, each with one HTTP status in package web.
const (
	Internal        Kind = iota // nothing: it is our fault (500)
	Invalid                     // send something else (400)
	Unauthenticated             // prove who you are (401)
	Forbidden                   // ask someone who may (403)
	NotFound                    // there is no such thing (404)
	Conflict                    // it exists already, or its state forbids this (409)
	Precondition                // it changed since you read it (412)
	TooLarge                    // send less (413)
	TooMany                     // wait, then try again (429)
	Unavailable                 // try again; what became of the request is unknown (503)
)

// Error is a failure with words fit for the caller.
type Error struct {
	Kind       Kind
	Code       string            // stable and machine-readable, such as "email_taken"
	Detail     string            // one sentence for people
	RetryAfter time.Duration     // when to try again; zero says nothing
	Fields     map[string]string // what is wrong with which field of the request
}

func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// New returns a failure of the given kind.
func New(k Kind, code, format string, args ...any) *Error {
	detail := format
	if len(args) > 0 {
		detail = fmt.Sprintf(format, args...)
	}
	return &Error{Kind: k, Code: code, Detail: detail}
}

// WithRetry says when to try again.
func (e *Error) WithRetry(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// WithField says what is wrong with one field of the request.
func (e *Error) WithField(name, why string) *Error {
	if e.Fields == nil {
		e.Fields = map[string]string{}
	}
	e.Fields[name] = why
	return e
}

// Is reports whether err is a failure of kind k.
func Is(err error, k Kind) bool {
	if err == nil {
		return false
	}
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

// Code returns the stable code of a failure, or "" for any other error.
func Code(err error) string {
	if err == nil {
		return "" // without the memory that errors.As takes
	}
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}
