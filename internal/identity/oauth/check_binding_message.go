package oauth

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxBindingMessage is what fits on two lines of a phone, in characters.
const maxBindingMessage = 100

// checkBindingMessage reads what the person shall compare with what the client
// shows them (CIBA, section 7.1): one line of text without anything that hides
// or turns around other text.
func checkBindingMessage(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("binding_message")
	if utf8.RuneCountInString(text) > maxBindingMessage {
		return refuse("invalid_binding_message", "binding_message is longer than 100 characters")
	}
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		return refuse("invalid_binding_message", "binding_message contains characters that cannot be shown")
	}
	if text != strings.TrimSpace(text) {
		return refuse("invalid_binding_message", "binding_message begins or ends with a space")
	}
	a.message = text
	return nil
}
